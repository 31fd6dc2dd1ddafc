"""The switches of a training step: autocast, and a scaler for float16's gradients. With neither, a step is plain.

`torch.compile` needs no switch here: a step takes a compiled model as it takes any other.
"""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor
from torch.amp import GradScaler

from attention.errors import Unsupported


def autocast(
    place: str, device: torch.device, amp: torch.dtype | None, scaler: GradScaler | None
) -> AbstractContextManager[object]:
    """What a step's forward runs in: products in `amp`, or nothing at all for None.

    Raises: Unsupported, which names `place`, when device, dtype and scaler do not go together.
    """
    if amp is None:
        return nullcontext()
    if amp not in (torch.bfloat16, torch.float16):
        raise Unsupported(f"{place}: amp={amp}, wanted torch.bfloat16 or torch.float16")
    if not torch.amp.is_autocast_available(device.type):
        raise Unsupported(f"{place}: {device.type} has no autocast")
    if amp == torch.float16 and device.type == "cpu":
        # 0.3 to 4 GFLOP/s, where the same core does 215 in bfloat16 (Zen 4, torch 2.13).
        raise Unsupported(f"{place}: a CPU emulates float16; torch.bfloat16 is there for it")
    if amp == torch.float16 and not (scaler is not None and scaler.is_enabled()):
        raise Unsupported(f"{place}: float16 loses gradients below 6e-8; it wants a GradScaler that is enabled")
    return torch.autocast(device.type, dtype=amp)


def update(optimizer: torch.optim.Optimizer, loss: Tensor, scaler: GradScaler | None) -> None:
    """Backward and update. A scaler reads back whether all gradients are finite, and leaves the update out if not."""
    if scaler is None:
        torch.autograd.backward(loss)
        optimizer.step()
    else:
        torch.autograd.backward(scaler.scale(loss))
        scaler.step(optimizer)
        scaler.update()
