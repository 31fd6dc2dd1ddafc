"""One optimisation step, and synthetic data that can be learned, so that a step is more than heat."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attention.errors import ShapeError


def synthetic_batch(
    batch: int, length: int, vocab_size: int, *, seed: int = 0, device: torch.device | str = "cpu"
) -> tuple[Tensor, Tensor]:
    """Sequences that repeat after half their length: the second half is learned only by looking back.

    Shapes: tokens and targets [batch, length], int64; targets are the tokens that follow.
    Raises: ShapeError when length < 2.
    Source: the copying task of Hochreiter and Schmidhuber 1997.
    """
    if length < 2:
        raise ShapeError(f"synthetic_batch: length={length}, wanted >= 2")
    # Drawn on the CPU: the same tokens on every device.
    generator = torch.Generator().manual_seed(seed)
    half = torch.randint(vocab_size, (batch, length // 2 + 1), generator=generator)
    sequence = torch.cat([half, half], dim=1)[:, : length + 1].to(device)
    return sequence[:, :-1], sequence[:, 1:]


def train_step(model: nn.Module, optimizer: torch.optim.Optimizer, tokens: Tensor, targets: Tensor) -> Tensor:
    """Forward, cross-entropy, backward, update. Returns the loss on its device: reading it is the caller's wait.

    Shapes: tokens, targets [B, L], int64; result a scalar without gradient.
    Memory: gradients of the last step are kept until the next. Cost: three forwards and the update.
    Raises: ShapeError when tokens and targets differ in shape.
    Source: seed 000, "full train step".
    """
    if tokens.shape != targets.shape:
        raise ShapeError(f"train_step: tokens {list(tokens.shape)}, targets {list(targets.shape)}, wanted equal shapes")
    optimizer.zero_grad(set_to_none=True)
    logits_blv = model(tokens)
    loss = F.cross_entropy(logits_blv.flatten(0, 1), targets.flatten())
    torch.autograd.backward(loss)
    optimizer.step()
    return loss.detach()
