"""Sequences of several lengths in one batch: padded to the longest, or each in pages of its own."""

import torch
from torch import Tensor

from benchmarks import devices
from benchmarks.bodies import Body, normal

#: Seven short sequences beside a long one.
LENGTHS = (*[64] * 7, 4096)
HEADS, KV_HEADS, WIDTH = 8, 2, 64


def mixed(variant: str) -> tuple[Body, int]:
    """A decode step of all sequences, and the bytes that are set aside for them."""
    torch.manual_seed(0)
    held = [normal(2, 1, KV_HEADS, length, WIDTH).unbind() for length in LENGTHS]
    q = normal(len(LENGTHS), HEADS, 1, WIDTH)
    k, v = normal(2, len(LENGTHS), KV_HEADS, 1, WIDTH).unbind()
    return {"padded": _padded, "paged": _paged}[variant](held, q, k, v)


def _paged(held: list[tuple[Tensor, ...]], q: Tensor, k: Tensor, v: Tensor) -> tuple[Body, int]:
    room = [length + 1 for length in LENGTHS]
    cache = devices.variant("cache", "paged")(len(LENGTHS), KV_HEADS, room, WIDTH, device=q.device)
    alone = [cache.select(sequence) for sequence in cache.sequences]
    for one, tokens in zip(alone, held, strict=True):
        one.append(*tokens)

    def step() -> Tensor:
        cache.append(k, v)
        out: Tensor = cache.attend(q)
        for one, length in zip(alone, LENGTHS, strict=True):
            one.truncate(length)
        return out

    return step, cache.nbytes


def _padded(held: list[tuple[Tensor, ...]], q: Tensor, k: Tensor, v: Tensor) -> tuple[Body, int]:
    """Filled up on the left, so that all end at the same position, and a mask over what is filled."""
    longest = max(LENGTHS)
    cache = devices.variant("cache", "static")(len(LENGTHS), KV_HEADS, longest + 1, WIDTH, device=q.device)
    attend = devices.variant("attention", "grouped")
    mask = torch.zeros(len(LENGTHS), 1, 1, longest + 1, dtype=torch.bool, device=q.device)
    filled = torch.zeros(2, len(LENGTHS), KV_HEADS, longest, WIDTH, device=q.device)
    for place, tokens in enumerate(held):
        start = longest - LENGTHS[place]
        filled[:, place, :, start:] = torch.stack(tokens)[:, 0]
        mask[place, ..., start:] = True
    cache.append(*filled.unbind())

    def step() -> Tensor:
        cache.append(k, v)
        out: Tensor = attend(q, *cache.gather(), attn_mask=mask)
        cache.truncate(longest)
        return out

    return step, cache.nbytes
