"""G6: a cached mask is the one that would be built now, in its own dtype, before and after use; few are kept."""

import math

import pytest
import torch

GUARD = "G6"
#: Of a test that names no variant: whatever may ask the cache.
COVERS = r".*\('(cached|fused|masked|sdpa|chunked|checkpointed|repeated_kv|grouped)'.*"


def fresh(L: int, S: int, dtype: torch.dtype) -> torch.Tensor:
    """The mask by arithmetic on positions, independent of the commit under test."""
    visible = torch.arange(S)[None, :] <= torch.arange(L)[:, None] + (S - L)
    return visible if dtype == torch.bool else torch.where(visible, 0.0, -math.inf).to(dtype)


def equal(mask: torch.Tensor, L: int, S: int, dtype: torch.dtype) -> bool:
    return mask.dtype == dtype and torch.equal(mask.cpu(), fresh(L, S, dtype))


@pytest.mark.parametrize("L", [1, 2, 33, 256])
def test_every_construction_gives_the_same_mask(mask, L, dtype, device, build):
    make = build("mask", mask)
    for _ in range(2):  # the second may come from a cache
        assert equal(make(L, dtype=getattr(torch, dtype), device=device), L, L, getattr(torch, dtype))


def test_one_cache_serves_many_lengths_and_dtypes_without_mixing_them(device, member):
    cache = member("CausalMaskCache")(max_entries=64)
    dtypes = [torch.float32, torch.float16, torch.bfloat16, torch.bool] + [torch.float64] * (device != "mps")
    for _ in range(2):
        for L, S in ((1, 1), (7, 7), (3, 7), (7, 3), (1, 7), (7, 1)):
            for dtype in dtypes:
                mask = cache.get(L, S, device=torch.device(device), dtype=dtype)
                assert equal(mask, L, S, dtype), f"L={L}, S={S}, {dtype}"
                assert mask.device.type == device


def test_the_cache_returns_what_it_stored_and_stays_within_its_bound(device, member):
    cache = member("CausalMaskCache")(max_entries=3)
    where = {"device": torch.device(device), "dtype": torch.float32}
    assert cache.get(5, 5, **where) is cache.get(5, 5, **where)
    for L in range(1, 20):
        cache.get(L, L, **where)
        assert len(cache) <= 3


@pytest.mark.parametrize("head", ["cached", "fused"])
def test_a_head_leaves_the_cached_mask_as_it_was(head, dtype, device, build, member):
    cache = member("CausalMaskCache")()
    wanted = getattr(torch, dtype)
    layer = build("head", head)(16, 16, masks=cache).to(device, wanted)
    x = torch.randn(2, 11, 16, device=device, dtype=wanted)
    first = layer(x)
    mask = cache.get(11, 11, device=x.device, dtype=wanted)
    first.sum().backward()
    second = layer(x)
    assert equal(mask, 11, 11, wanted)
    assert equal(cache.get(11, 11, device=x.device, dtype=wanted), 11, 11, wanted)
    assert torch.equal(first, second)


def test_a_kernel_gives_the_same_result_again_whatever_came_between(kernel, dtype, device, build):
    attend = build("kernel", kernel)
    torch.manual_seed(0)
    inputs = {
        (L, S): [torch.randn(1, 2, n, 8, dtype=getattr(torch, dtype), device=device) for n in (L, S, S)]
        for L, S in ((6, 6), (4, 6), (6, 4))
    }
    first = {size: attend(*qkv, is_causal=True) for size, qkv in inputs.items()}
    for qkv in inputs.values():
        attend(*qkv, is_causal=True, attn_mask=torch.zeros(qkv[0].shape[2], qkv[1].shape[2], device=device).bool())
        attend(*(t.float() for t in qkv), is_causal=True)
    assert all(torch.equal(attend(*qkv, is_causal=True), first[size]) for size, qkv in inputs.items())
