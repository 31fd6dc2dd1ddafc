"""Sequences of several lengths in one batch: padded to the longest, or each in pages of its own."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from benchmarks import devices
from benchmarks.inputs import normal
from benchmarks.workloads import MIXED_INPUTS, MixedInput

Step = Callable[[], Tensor]


def mixed(variant: str, name: str) -> Step:
    """A decode step of all sequences."""
    return placed(variant, name)[0]


def placed(variant: str, name: str) -> tuple[Step, int]:
    """A decode step of all sequences, and the bytes that are set aside for them."""
    size = MIXED_INPUTS[name]
    held = [normal(2, 1, size.kv_heads, length, size.head_width).unbind() for length in size.lengths]
    q = normal(len(size.lengths), size.heads, 1, size.head_width)
    k, v = normal(2, len(size.lengths), size.kv_heads, 1, size.head_width).unbind()
    return {"padded": _padded, "paged": _paged}[variant](size, held, q, k, v)


def _paged(size: MixedInput, held: Sequence[tuple[Tensor, ...]], q: Tensor, k: Tensor, v: Tensor) -> tuple[Step, int]:
    room = [length + 1 for length in size.lengths]
    cache = devices.variant("cache", "paged")(len(room), size.kv_heads, room, size.head_width, device=q.device)
    alone = [cache.select(sequence) for sequence in cache.sequences]
    for one, tokens in zip(alone, held, strict=True):
        one.append(*tokens)

    def step() -> Tensor:
        cache.append(k, v)
        out: Tensor = cache.attend(q)
        for one, length in zip(alone, size.lengths, strict=True):
            one.truncate(length)
        return out

    return step, cache.nbytes


def _padded(size: MixedInput, held: Sequence[tuple[Tensor, ...]], q: Tensor, k: Tensor, v: Tensor) -> tuple[Step, int]:
    """Filled up on the left, so that all end at the same position, and a mask over what is filled."""
    batch, longest = len(size.lengths), max(size.lengths)
    cache = devices.variant("cache", "static")(batch, size.kv_heads, longest + 1, size.head_width, device=q.device)
    attend = devices.variant("attention", "grouped")
    mask = torch.zeros(batch, 1, 1, longest + 1, dtype=torch.bool, device=q.device)
    filled = torch.zeros(2, batch, size.kv_heads, longest, size.head_width, device=q.device)
    for place, tokens in enumerate(held):
        start = longest - size.lengths[place]
        filled[:, place, :, start:] = torch.stack(tokens)[:, 0]
        mask[place, ..., start:] = True
    cache.append(*filled.unbind())

    def step() -> Tensor:
        cache.append(k, v)
        out: Tensor = attend(q, *cache.gather(), attn_mask=mask)
        cache.truncate(longest)
        return out

    return step, cache.nbytes
