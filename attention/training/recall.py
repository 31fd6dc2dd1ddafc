"""The recall task: give back a sequence of vectors that have half of themselves in common.

What is common goes through a bottleneck; what is each vector's own must be looked up, by attention.
Axes: b batch, s positions, f feature width.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.amp import GradScaler

from attention.errors import ShapeError
from attention.training.precision import autocast, update


@dataclass(frozen=True, slots=True)
class RecallTask:
    """Each vector is the sum of two: one of its sequence, one of its own, all independent and of equal size.

    Who knows the common vector alone reaches a cosine of about 0.7 = 1 / sqrt(2), who finds each vector's own, 1.
    """

    batch: int = 32
    length: int = 16
    feature_size: int = 8

    def __post_init__(self) -> None:
        if min(self.batch, self.length, self.feature_size) < 1:
            raise ShapeError(f"{self}: wanted each >= 1")

    def batches(self, count: int, *, seed: int, device: torch.device | str = "cpu") -> Iterator[Tensor]:
        """`count` batches, none of which comes twice. Shapes: each [batch, length, feature_size], variance 1."""
        # Drawn on the CPU: the same numbers on every device.
        generator = torch.Generator().manual_seed(seed)
        for _ in range(count):
            common_b1f = torch.randn(self.batch, 1, self.feature_size, generator=generator)
            own_bsf = torch.randn(self.batch, self.length, self.feature_size, generator=generator)
            yield ((common_b1f + own_bsf) * 0.5**0.5).to(device)


def recall_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    x: Tensor,
    *,
    amp: torch.dtype | None = None,
    scaler: GradScaler | None = None,
) -> tuple[Tensor, Tensor]:
    """Forward, mean squared error, backward, update: loss and cosine, on their device and without gradient.

    Shapes: x and what the model makes of it [B, S, F]; results scalars.
    Memory: gradients of the last step are kept until the next. Cost: three forwards and the update.
    Raises: ShapeError when the model does not give back x's shape; Unsupported as `train_step`.
    Source: seed 001, "train_attention_autoencoder.py".
    """
    context = autocast("recall_step", x.device, amp, scaler)
    optimizer.zero_grad(set_to_none=True)
    with context:
        reconstruction = model(x)
        _check("recall_step", reconstruction, x)
        loss = F.mse_loss(reconstruction, x)
    update(optimizer, loss, scaler)
    return loss.detach(), cosine_score(reconstruction.detach(), x)


def cosine_score(reconstruction: Tensor, x: Tensor) -> Tensor:
    """The cosine between each vector and what was made of it, mean over all: 1 the same direction, 0 chance.

    Shapes: both [B, S, F]; result a scalar. Raises: ShapeError when they differ in shape, or are empty.
    Source: seed 001, "+0.15 cosine similarity".
    """
    _check("cosine_score", reconstruction, x)
    return F.cosine_similarity(reconstruction, x, dim=-1).mean()


def evaluate_cosine(model: nn.Module, batches: Iterable[Tensor]) -> Tensor:
    """The mean `cosine_score` over batches, in eval mode, without a graph; on its device, nothing is read back.

    Raises: ShapeError when there is no batch.
    """
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            scores = [cosine_score(model(x), x) for x in batches]
    finally:
        model.train(was_training)
    if not scores:
        raise ShapeError("evaluate_cosine: no batch, wanted at least one")
    return torch.stack(scores).mean()


def _check(place: str, reconstruction: Tensor, x: Tensor) -> None:
    if reconstruction.shape != x.shape or not x.numel():
        met = f"reconstruction {list(reconstruction.shape)}, x {list(x.shape)}"
        raise ShapeError(f"{place}: {met}, wanted equal shapes, not empty")
