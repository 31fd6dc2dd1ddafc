"""A language model's training step, and synthetic data that can be learned, so that a step is more than heat."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.amp import GradScaler

from attention.errors import ShapeError
from attention.training.precision import autocast, update


def synthetic_batch(
    batch: int, length: int, vocab_size: int, *, seed: int = 0, device: torch.device | str = "cpu"
) -> tuple[Tensor, Tensor]:
    """Sequences that repeat after half their length: the second half is learned only by looking back.

    Shapes: tokens and targets [batch, length], int64; targets are the tokens that follow.
    Raises: ShapeError when length < 2, or batch or vocab_size < 1.
    Source: the copying task of Hochreiter and Schmidhuber 1997.
    """
    if length < 2:
        raise ShapeError(f"synthetic_batch: length={length}, wanted >= 2")
    if min(batch, vocab_size) < 1:
        raise ShapeError(f"synthetic_batch: batch={batch}, vocab_size={vocab_size}, wanted each >= 1")
    # Drawn on the CPU: the same tokens on every device.
    generator = torch.Generator().manual_seed(seed)
    half = torch.randint(vocab_size, (batch, length // 2 + 1), generator=generator)
    sequence = torch.cat([half, half], dim=1)[:, : length + 1].to(device)
    return sequence[:, :-1], sequence[:, 1:]


def train_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    tokens: Tensor,
    targets: Tensor,
    *,
    amp: torch.dtype | None = None,
    scaler: GradScaler | None = None,
) -> Tensor:
    """Forward, cross-entropy, backward, update. Returns the loss on its device: reading it is the caller's wait.

    `amp` computes the forward's products in bfloat16, or in float16 with a `scaler`, which leaves out an update whose
    gradients are not finite and reads back whether they are.

    Shapes: tokens, targets [B, L], int64; result a scalar without gradient.
    Memory: gradients of the last step are kept until the next. Cost: three forwards and the update.
    Raises: ShapeError when tokens and targets do not fit together; Unsupported when amp, scaler and device do not.
    Source: seed 000, "full train step"; seed 001, "mixed precision training".
    """
    check_tokens("train_step", tokens, targets)
    context = autocast("train_step", tokens.device, amp, scaler)
    optimizer.zero_grad(set_to_none=True)
    with context:
        logits_blv = model(tokens)
        loss = F.cross_entropy(logits_blv.flatten(0, 1), targets.flatten())
    update(optimizer, loss, scaler)
    return loss.detach()


def check_tokens(place: str, tokens: Tensor, targets: Tensor) -> None:
    """Raises: ShapeError, which names `place`, when there is nothing to learn from the two, or nothing at all."""
    # The mean over no tokens is NaN.
    if tokens.shape != targets.shape or tokens.dim() != 2 or not tokens.numel():
        met = f"tokens {list(tokens.shape)}, targets {list(targets.shape)}"
        raise ShapeError(f"{place}: {met}, wanted equal shapes [B, L], not empty")
    if not (tokens.dtype == targets.dtype == torch.int64 and tokens.device == targets.device):
        met = ", ".join(f"{n} {t.dtype} on {t.device}" for n, t in (("tokens", tokens), ("targets", targets)))
        raise ShapeError(f"{place}: {met}, wanted int64 on one device")
