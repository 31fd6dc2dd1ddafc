"""G9: query heads share a key head without a copy of it: no operator makes one, and no allocation would hold one."""

import gc
from functools import partial
from operator import attrgetter

import pytest
import torch
from torch.autograd.profiler import profile

GUARD = "G9"
COVERS = r"(kv_cache|generation)\..*"
COPYING = {"cat", "clone", "copy_", "_to_copy", "expand_copy", "gather", "index", "index_select", "repeat", "stack"}
#: Hq, Hkv, S, D: a copy for each query head of K alone would take 16 MiB.
HEADS, KV_HEADS, KEYS, WIDTH = 16, 2, 4096, 64
EXPANDED = HEADS * KEYS * WIDTH * 4
#: What a fused kernel may keep of its scores, for each thread.
SCRATCH = 2**20


@pytest.fixture
def qkv(draw):
    return lambda L: draw((1, HEADS, L, WIDTH), (1, KV_HEADS, KEYS, WIDTH), (1, KV_HEADS, KEYS, WIDTH))


def blocks(events):
    """Address and size of what was handed out, or with a negative size given back, in the order of time."""
    for event in sorted(events, key=attrgetter("start_time_ns")):
        if event.name == "[memory]":
            yield event.extra_fields.ptr, event.extra_fields.alloc_size
        yield from blocks(event.children)


def peak(body, device):
    """Bytes in use at most while the body runs, above what was in use before; its result is among them."""
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        body()
        return torch.cuda.max_memory_allocated() - before
    gc.collect()
    gc.disable()  # a collection half-way would give back what was in use before
    try:
        with profile(profile_memory=True) as recording:
            body()
    finally:
        gc.enable()
    held, most, sizes = 0, 0, {}
    for address, size in blocks(recording.kineto_results.experimental_event_tree()):
        if size > 0:
            sizes[address] = size
        held += size if size > 0 else -sizes.pop(address, 0)
        most = max(most, held)
    return most


@pytest.fixture
def assert_nothing_is_copied(device, log):
    def judge(body):
        result = body()  # masks are made and kept
        with log() as seen:
            body()
        assert not COPYING & set(seen.names), seen.names
        if device != "mps":  # it keeps no count of allocations
            most = peak(body, device)
            assert most <= result.nbytes + SCRATCH * torch.get_num_threads()
            assert most < EXPANDED

    return judge


@pytest.mark.parametrize("L", [1, 64])
@pytest.mark.parametrize("sharing", ["sdpa", "grouped"])
def test_a_kernel_shares_key_heads_by_view(sharing, L, qkv, build, assert_nothing_is_copied):
    assert_nothing_is_copied(partial(build("sharing", sharing), *qkv(L)))


# A quantised cache makes numbers of its bytes: it is held to its error, not to this.
@pytest.mark.parametrize("kv_cache", ["concat", "static", "growing", "paged", "adaptive"])
def test_a_cache_shares_key_heads_by_view(kv_cache, device, qkv, build, assert_nothing_is_copied):
    q, k, v = qkv(1)
    cache = build("kv_cache", kv_cache)(1, KV_HEADS, KEYS, WIDTH, device=device)
    cache.append(k, v)
    assert_nothing_is_copied(partial(cache.attend, q))


def test_a_copy_would_be_seen(device, qkv, build, log):
    """The form that repeats its key heads is kept to be compared with: it shows what the others are held to."""
    body = partial(build("sharing", "repeated_kv"), *qkv(1))
    body()
    with log() as seen:
        body()
    assert COPYING & set(seen.names)
    if device != "mps":
        assert peak(body, device) >= 2 * EXPANDED
