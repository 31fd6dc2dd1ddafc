"""Every cache: what a step writes, what is refused, and that nothing behind the end is seen."""

from functools import partial

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from attention import CacheFull, MultiHeadAttention, ShapeError, TransformerLM, Unsupported, decode, prefill
from attention.adaptive import AdaptiveKVCache, Crossover
from attention.caches import ConcatKVCache, EncoderKV, GrowingKVCache, KVCache, StaticKVCache
from attention.functional import naive_attention
from attention.paging import PagedKVCache
from attention.quantized_cache import QuantizedKVCache

BATCH, HEADS, KV_HEADS, LIMIT, WIDTH = 2, 6, 2, 12, 8
SIZES = (BATCH, KV_HEADS, LIMIT, WIDTH)
LIMITED = {
    "static": partial(StaticKVCache, *SIZES),
    "paged": partial(PagedKVCache, *SIZES, page_size=4),
    "adaptive": partial(AdaptiveKVCache, *SIZES, crossover=Crossover(6, 6, "made up")),
    "quantized": partial(QuantizedKVCache, *SIZES),
}
CACHES = {"concat": ConcatKVCache, "growing": partial(GrowingKVCache, step=4)} | LIMITED
every_cache = pytest.mark.parametrize("name", CACHES)


COPIES = ("copy_", "_to_copy", "clone", "cat", "index_put_", "index_copy_")


class Written(TorchDispatchMode):
    """The bytes that operators wrote: into tensors that were there, and as results that are no views; copies apart."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0
        self.copies: list[int] = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled under it; guarding against that would import the compiler

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        written = 0 if function.is_view else sum(t.nbytes for t in tree_leaves(result) if isinstance(t, Tensor))
        self.bytes += written
        if function.overloadpacket.__name__ in COPIES:
            self.copies.append(written)
        return result


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def kv(length: int, seed: int = 0, batch: int = BATCH) -> tuple[Tensor, Tensor]:
    k, v = normal(2, batch, KV_HEADS, length, WIDTH, seed=seed)
    return k, v


def scattered(batch: int, kv_heads: int, max_length: int, width: int) -> PagedKVCache:
    """Sequences that grew page by page between each other, so that each is in several runs."""
    pool = PagedKVCache(1, kv_heads, batch * max_length + 64, width, page_size=2)
    pool.leave(*pool.sequences)
    for _ in range(batch):
        pool.join()
    for at in range(6):
        for sequence in pool.sequences:
            pool.select(sequence).append(*kv(2, at, batch=1))
    assert min(len(pool.pager.runs(sequence)) for sequence in pool.sequences) > 1
    pool.reset()
    return pool


@pytest.mark.parametrize(
    "make",
    [StaticKVCache, PagedKVCache, scattered, QuantizedKVCache, lambda *_: GrowingKVCache(step=256)],
    ids=["static", "paged", "scattered", "quantized", "growing"],
)
def test_a_step_writes_one_position_and_copies_no_other(make) -> None:
    cache, held = make(BATCH, KV_HEADS, 1024, WIDTH), kv(1000)
    cache.append(*held)
    k, v = kv(1, seed=1)
    with Written() as append:
        cache.append(k, v)
    if make is not QuantizedKVCache:
        assert append.bytes == k.nbytes + v.nbytes
    assert append.bytes < held[0].nbytes / 8
    q = normal(BATCH, HEADS, 1, WIDTH)
    if make is not QuantizedKVCache:  # which turns all of K and V into floats for a moment
        with Written() as attend:
            cache.attend(q)
        assert attend.bytes < held[0].nbytes / 8


def test_the_cache_that_is_copied_at_each_step_is_seen_to_be() -> None:
    cache, (k, v) = ConcatKVCache(), kv(1)
    cache.append(*kv(200))
    with Written() as append:
        cache.append(k, v)
    assert append.bytes == cache.nbytes


def test_growing_copies_once_in_so_many_steps() -> None:
    cache, k, v = GrowingKVCache(step=4), *kv(1)
    copied = []
    for _ in range(10):
        with Written() as append:
            cache.append(k, v)
        copied.append(append.bytes > k.nbytes + v.nbytes)
    assert copied == [True, False, False, False] * 2 + [True, False]
    assert cache.nbytes == 12 * (k.nbytes + v.nbytes)


def test_a_models_step_writes_one_position_in_each_block() -> None:
    heads = partial(MultiHeadAttention, num_heads=HEADS, num_kv_heads=KV_HEADS)
    model = TransformerLM(11, HEADS * WIDTH, 3, max_length=LIMIT, attention=heads).requires_grad_(False)
    caches = [StaticKVCache(*SIZES) for _ in model.blocks]
    tokens = torch.zeros(BATCH, 5, dtype=torch.int64)
    prefill(model, tokens, caches)
    with Written() as step:
        decode(model, tokens[:, 0], caches)
    assert step.copies == [t.nbytes for t in kv(1)] * 3


@every_cache
def test_what_is_behind_the_end_is_not_seen(name: str) -> None:
    cache, q = CACHES[name](), normal(BATCH, HEADS, 1, WIDTH)
    cache.append(*kv(7))
    before = cache.attend(q)
    cache.append(*(torch.full_like(t, torch.nan) for t in kv(5)))
    cache.truncate(7)
    assert torch.equal(cache.attend(q), before)
    cache.append(*kv(2))
    assert cache.attend(q).isfinite().all()
    cache.reset()
    cache.append(*kv(1))
    assert cache.attend(q).isfinite().all()


@pytest.mark.parametrize("name", LIMITED)
def test_a_full_cache_says_so_and_holds_what_it_held(name: str) -> None:
    cache: KVCache = LIMITED[name]()
    cache.append(*kv(10))
    before = [t.clone() for t in cache.gather()]
    with pytest.raises(CacheFull, match=r"10 held and 3 new positions, max_length=12|1 more pages of 4 tokens"):
        cache.append(*kv(3))
    assert cache.seq_len == 10
    assert all(torch.equal(a, b) for a, b in zip(cache.gather(), before, strict=True))
    cache.append(*kv(2))
    assert cache.seq_len == LIMIT


@every_cache
@pytest.mark.parametrize(
    ("k", "v", "met"),
    [
        (torch.zeros(2, 2, 8), torch.zeros(2, 2, 8), "[2, 2, 8]"),
        (torch.zeros(3, 2, 1, 8), torch.zeros(3, 2, 1, 8), "[3, 2, 1, 8]"),
        (torch.zeros(2, 6, 1, 8), torch.zeros(2, 6, 1, 8), "[2, 6, 1, 8]"),
        (torch.zeros(2, 2, 1, 9), torch.zeros(2, 2, 1, 8), "[2, 2, 1, 9]"),
        (torch.zeros(2, 2, 1, 8), torch.zeros(2, 2, 1, 9), "[2, 2, 1, 9]"),
        (torch.zeros(2, 2, 2, 8), torch.zeros(2, 2, 1, 8), "[2, 2, 1, 8]"),
        (torch.zeros(2, 2, 1, 8).double(), torch.zeros(2, 2, 1, 8).double(), "torch.float64"),
    ],
)
def test_keys_and_values_that_do_not_fit_are_named_and_not_kept(name: str, k: Tensor, v: Tensor, met: str) -> None:
    cache = CACHES[name]()
    cache.append(*kv(3))
    with pytest.raises(ShapeError) as error:
        cache.append(k, v)
    assert met in str(error.value)
    assert cache.seq_len == 3
    assert all(t.shape == (BATCH, KV_HEADS, 3, WIDTH) for t in cache.gather())


@every_cache
@pytest.mark.parametrize(
    "q",
    [
        torch.zeros(2, 6, 8),
        torch.zeros(2, 6, 4, 8),
        torch.zeros(2, 6, 0, 8),
        torch.zeros(1, 6, 1, 8),
        torch.zeros(2, 5, 1, 8),
        torch.zeros(2, 6, 1, 9),
        torch.zeros(2, 6, 1, 8).double(),
    ],
    ids=lambda q: f"{q.dtype} {[*q.shape]}",
)
def test_queries_that_do_not_fit_are_named(name: str, q: Tensor) -> None:
    cache = CACHES[name]()
    cache.append(*kv(3))
    with pytest.raises(ShapeError) as error:
        cache.attend(q)
    assert str(list(q.shape)) in str(error.value) or str(q.dtype) in str(error.value)


@every_cache
def test_no_more_is_forgotten_than_is_held(name: str) -> None:
    cache = CACHES[name]()
    cache.append(*kv(3))
    for length in (-1, 4):
        with pytest.raises(ShapeError, match=rf"truncate\({length}\), wanted 0 to 3"):
            cache.truncate(length)


def test_sizes_that_make_no_cache_are_named() -> None:
    with pytest.raises(ShapeError, match="max_length=0"):
        StaticKVCache(1, 2, 0, 8)
    with pytest.raises(ShapeError, match="step=0"):
        GrowingKVCache(step=0)
    with pytest.raises(ShapeError, match="max_length=0"):
        QuantizedKVCache(1, 2, 0, 8)
    with pytest.raises(ShapeError, match="nothing was appended yet"):
        ConcatKVCache().attend(torch.zeros(1, 1, 1, 8))


def test_a_quantised_cache_takes_a_byte_a_number_and_eight_a_position() -> None:
    assert QuantizedKVCache(2, 3, 100, 16, 24).nbytes == 2 * 3 * 100 * (16 + 24 + 8)


def test_an_encoders_keys_are_seen_by_every_query_and_stay_as_they_are() -> None:
    k, v = kv(5)
    q, encoded = normal(BATCH, HEADS, 3, WIDTH), EncoderKV(k, v)
    repeated = (t.repeat_interleave(HEADS // KV_HEADS, dim=1) for t in (k, v))
    # Two orders of summing 5 weights of at most one.
    assert torch.allclose(encoded.attend(q), naive_attention(q, *repeated), atol=1e-6)
    for change in (lambda: encoded.append(k, v), lambda: encoded.truncate(4), encoded.reset):
        with pytest.raises(Unsupported):
            change()
    assert encoded.seq_len == 5
