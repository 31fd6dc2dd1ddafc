"""A cache that becomes another one: when, into which, and that nobody notices from its results."""

import json
from functools import partial

import pytest
import torch
from torch import Tensor

from attention import CacheFull, ShapeError, Unsupported
from attention import adaptive as module
from attention.adaptive import CROSSOVERS, AdaptiveKVCache, Crossover, measure_crossover
from attention.caches import ConcatKVCache, GrowingKVCache, StaticKVCache
from attention.paging import PagedKVCache

SIZES = (2, 2, 12, 8)
AT_SIX = Crossover(static=6, growing=6, source="made up")


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("max_length", "becomes"), [(12, StaticKVCache), (None, GrowingKVCache)], ids=["limit known", "unknown"]
)
def test_it_moves_once_at_the_crossover_and_its_results_are_the_same(max_length, becomes) -> None:
    cache = AdaptiveKVCache(2, 2, max_length, 8, crossover=AT_SIX)
    plain, inner = StaticKVCache(*SIZES), []
    for at in range(10):
        (k, v), q = normal(2, 2, 2, 1, 8, seed=at), normal(2, 6, 1, 8, seed=at)
        for each in (cache, plain):
            each.append(k, v)
        # The same numbers in other strides: at most the order of summing ten of them differs.
        assert torch.allclose(cache.attend(q), plain.attend(q), rtol=0, atol=1e-6)
        assert all(torch.equal(a, b) for a, b in zip(cache.gather(), plain.gather(), strict=True))
        assert cache.seq_len == plain.seq_len
        inner.append(cache.inner)
    assert [type(each) for each in inner] == [ConcatKVCache] * 5 + [becomes] * 5
    assert len(set(map(id, inner))) == 2


def test_a_prompt_that_reaches_the_crossover_is_never_concatenated() -> None:
    cache = AdaptiveKVCache(*SIZES, crossover=AT_SIX)
    cache.append(*normal(2, 2, 2, 6, 8))
    assert type(cache.inner) is StaticKVCache


def test_it_stays_what_it_has_become() -> None:
    cache = AdaptiveKVCache(*SIZES, crossover=AT_SIX)
    cache.append(*normal(2, 2, 2, 7, 8))
    became = cache.inner
    cache.truncate(2)
    cache.append(*normal(2, 2, 2, 1, 8))
    cache.reset()
    cache.append(*normal(2, 2, 2, 1, 8))
    assert cache.inner is became
    assert cache.nbytes == became.nbytes == 2 * 2 * 2 * 12 * 8 * 4


def test_where_it_was_never_faster_it_concatenates_to_the_limit() -> None:
    cache = AdaptiveKVCache(*SIZES, crossover=Crossover(None, None, "made up"))
    cache.append(*normal(2, 2, 2, 12, 8))
    assert type(cache.inner) is ConcatKVCache
    with pytest.raises(CacheFull, match="12 held and 1 new positions, max_length=12"):
        cache.append(*normal(2, 2, 2, 1, 8))
    assert cache.seq_len == 12


@pytest.mark.parametrize("options", [{"max_length": (5, 12)}, {"max_length": 12, "sharing": True}])
def test_sequences_of_several_limits_or_that_share_are_in_pages_at_once(options) -> None:
    cache = AdaptiveKVCache(2, 2, key_dim=8, crossover=AT_SIX, **options)
    assert isinstance(cache.inner, PagedKVCache)
    cache.append(*normal(2, 2, 2, 3, 8))
    fork = cache.inner.fork(cache.inner.sequences[0])
    assert cache.inner.lengths == (3, 3, 3)
    assert cache.inner.sequences[-1] == fork


def test_a_device_is_looked_up_by_its_type(monkeypatch) -> None:
    monkeypatch.setattr(module, "CROSSOVERS", {"cpu": AT_SIX})
    on_cpu, elsewhere = AdaptiveKVCache(*SIZES), AdaptiveKVCache(*SIZES, device="meta")
    on_cpu.append(*normal(2, 2, 2, 1, 8))
    elsewhere.append(*normal(2, 2, 2, 1, 8).to("meta"))
    assert (type(on_cpu.inner), type(elsewhere.inner)) == (ConcatKVCache, StaticKVCache)


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(ShapeError, match="max_length=0"):
        AdaptiveKVCache(1, 2, 0, 8)
    with pytest.raises(ShapeError, match="kv_heads=0"):
        AdaptiveKVCache(1, 0, 5, 8)
    with pytest.raises(Unsupported, match="without a max_length"):
        AdaptiveKVCache(1, 2, None, 8, sharing=True)
    with pytest.raises(ShapeError, match=r"k \[3, 2, 1, 8\]"):
        AdaptiveKVCache(*SIZES).append(*normal(2, 3, 2, 1, 8))


def test_a_crossover_is_stored_and_found_again(tmp_path) -> None:
    for crossover in (Crossover(None, 128, "made up"), *CROSSOVERS.values()):
        crossover.save(tmp_path / "crossover.json")
        assert Crossover.load(tmp_path / "crossover.json") == crossover
    wrong = ("", "[]", "{}", json.dumps({"static": -1, "growing": 1, "source": ""}), json.dumps({"static": "1"}))
    for content in wrong:
        (tmp_path / "crossover.json").write_text(content)
        with pytest.raises(ShapeError, match=r"crossover\.json is not what save writes"):
            Crossover.load(tmp_path / "crossover.json")


def test_the_crossover_is_the_length_from_which_on_nothing_is_slower() -> None:
    concat, static = (1.0, 2.0, 3.0, 4.0), (2.0, 1.0, 3.0, 1.0)
    seconds = [{"concat": c, "static": s} for c, s in zip(concat, static, strict=True)]
    first = partial(module._crossover, (1, 16, 64, 256))
    assert first(seconds, "static") == 16
    assert first([*seconds[:3], {"concat": 4.0, "static": 4.1}], "static") is None


def test_what_is_measured_is_a_step_of_each_cache_at_each_length(monkeypatch) -> None:
    """By a clock that ticks at each byte that a concatenation copies and each write in place, not by time."""
    now = 0.0

    def ticking(append, cost):
        def counted(cache, k, v):
            nonlocal now
            now += cost(cache)
            append(cache, k, v)

        return counted

    monkeypatch.setattr(module, "device_clock", lambda device: lambda: now)
    monkeypatch.setattr(ConcatKVCache, "append", ticking(ConcatKVCache.append, lambda cache: cache.seq_len))
    monkeypatch.setattr(StaticKVCache, "append", ticking(StaticKVCache.append, lambda cache: 50))
    monkeypatch.setattr(GrowingKVCache, "append", ticking(GrowingKVCache.append, lambda cache: 500))
    found = measure_crossover(4, 2, 8, lengths=(256, 16, 64), rounds=2)
    assert (found.static, found.growing) == (64, None)
    assert "4 query heads, 2 key heads of 8" in found.source
    with pytest.raises(ShapeError, match="lengths=\\[\\]"):
        measure_crossover(4, 2, 8, lengths=())
