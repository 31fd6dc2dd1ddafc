"""Sequences in pages: of their own lengths, forked, evicted and back, saved, in one run or in many, always the same."""

import io
from itertools import accumulate, pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from attention import CacheFull, ShapeError
from attention.arena import Arena, alike
from attention.functional import naive_attention
from attention.pager import Run
from attention.paging import PagedKVCache, attend_in_parts

HEADS, KV_HEADS, WIDTH, VALUES = 6, 2, 8, 8


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def kv(length: int, seed: int = 0, batch: int = 1, values: int = VALUES) -> tuple[Tensor, Tensor]:
    return normal(batch, KV_HEADS, length, WIDTH, seed=seed), normal(batch, KV_HEADS, length, values, seed=seed + 1000)


def whole(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """The oracle: float64, all at once."""
    k, v = (t.double().repeat_interleave(q.shape[1] // k.shape[1], dim=1) for t in (k, v))
    return naive_attention(q.double(), k, v, is_causal=True)


def pool(sequences: int, tokens: int, *, page_size: int = 4, **options) -> PagedKVCache:
    """Room for so many tokens in all, and sequences without any, none of which has a reservation."""
    cache = PagedKVCache(1, KV_HEADS, tokens, WIDTH, page_size=page_size, **options)
    cache.leave(*cache.sequences)
    for _ in range(sequences):
        cache.join()
    return cache


def held(cache: PagedKVCache, sequence: int) -> list[Tensor]:
    return [t.clone() for t in cache.select(sequence).gather()]


def same(a: list[Tensor], b: list[Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


class Log(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled under it; guarding against that would import the compiler

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.names.append(function.overloadpacket.__name__)
        return function(*args, **(kwargs or {}))


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=5),
    queries=st.integers(1, 20),
    group=st.sampled_from([1, 3]),
    values=st.sampled_from([WIDTH, 5]),
)
def test_keys_in_parts_are_attended_to_as_if_they_were_in_one(
    lengths: list[int], queries: int, group: int, values: int
) -> None:
    S = sum(lengths)
    L = min(queries, S)
    k, v = kv(S, values=values)
    q = normal(1, group * KV_HEADS, L, WIDTH, seed=7)
    cuts = list(pairwise(accumulate([0, *lengths])))
    parts = [(k[:, :, start:stop], v[:, :, start:stop]) for start, stop in cuts]
    error = (attend_in_parts(q, parts).double() - whole(q, k, v)).abs().max()
    # 45 weights of at most one on values of at most five: 1e-6 is some four roundings of the largest.
    assert error <= 1e-6
    assert torch.allclose(attend_in_parts(q, parts, scale=0.1), attend_in_parts(q, [(k, v)], scale=0.1), atol=1e-6)


def test_parts_that_do_not_fit_are_named() -> None:
    q, parts = normal(1, HEADS, 2, WIDTH), [kv(3), kv(2)]
    with pytest.raises(ShapeError, match="no part"):
        attend_in_parts(q, [])
    with pytest.raises(ShapeError, match=r"q \[1, 6, 6, 8\], wanted .* the 5 positions held"):
        attend_in_parts(normal(1, HEADS, 6, WIDTH), parts)
    with pytest.raises(ShapeError, match=r"q \[1, 5, 2, 8\]"):
        attend_in_parts(normal(1, 5, 2, WIDTH), parts)
    with pytest.raises(ShapeError, match=r"parts of \[2, 3\] key heads"):
        attend_in_parts(q, [kv(3), (normal(1, 3, 2, WIDTH), normal(1, 3, 2, VALUES))])


def test_each_sequence_has_its_own_length() -> None:
    cache, lengths = pool(3, 64), (1, 9, 22)
    for sequence, length in zip(cache.sequences, lengths, strict=True):
        cache.select(sequence).append(*kv(length, seed=sequence))
    k, v = kv(1, seed=50, batch=3)
    cache.append(k, v)
    assert cache.lengths == (2, 10, 23)
    q = normal(3, HEADS, 1, WIDTH)
    out = cache.attend(q)
    for place, (sequence, length) in enumerate(zip(cache.sequences, lengths, strict=True)):
        parts = zip(kv(length, seed=sequence), (k[place : place + 1], v[place : place + 1]), strict=True)
        own_k, own_v = (torch.cat(pair, dim=2) for pair in parts)
        assert same(held(cache, sequence), [own_k, own_v])
        assert torch.allclose(out[place].double(), whole(q[place : place + 1], own_k, own_v)[0], atol=1e-6)
    for ask in (lambda: cache.seq_len, cache.gather):
        with pytest.raises(ShapeError, match=r"the sequences hold \[2, 10, 23\]"):
            ask()


def test_sequences_in_step_are_one_call_without_a_copy() -> None:
    cache, (k, v), q = PagedKVCache(3, KV_HEADS, 40, WIDTH), kv(20, batch=3), normal(3, HEADS, 1, WIDTH)
    cache.append(k, v)
    with Log() as log:
        out = cache.attend(q)
    assert sum("scaled_dot_product" in name for name in log.names) == 1
    assert not {"cat", "stack", "clone", "copy_", "index_select"} & set(log.names)
    assert torch.allclose(out.double(), whole(q, k, v), atol=1e-6)
    assert same(list(cache.gather()), [k, v])
    assert torch.equal(cache.select(*reversed(cache.sequences)).attend(q.flip(0)).flip(0), out)


def test_neighbours_of_one_length_are_one_call_beside_another_of_their_own() -> None:
    cache, lengths = PagedKVCache(4, KV_HEADS, [9, 9, 9, 30], WIDTH, page_size=4), (8, 8, 8, 21)
    new = [kv(length, seed=place) for place, length in enumerate(lengths)]
    for sequence, tokens in zip(cache.sequences, new, strict=True):
        cache.select(sequence).append(*tokens)
    k, v = kv(1, seed=9, batch=4)
    q = normal(4, HEADS, 1, WIDTH)
    with Log() as log:
        cache.append(k, v)
        out = cache.attend(q)
    assert sum("scaled_dot_product" in name for name in log.names) == 2
    for place, (own_k, own_v) in enumerate(new):
        both = torch.cat((own_k, k[place : place + 1]), dim=2), torch.cat((own_v, v[place : place + 1]), dim=2)
        assert same(held(cache, cache.sequences[place]), both)
        assert torch.allclose(out[place].double(), whole(q[place : place + 1], *both)[0], atol=1e-6)


RUN = st.builds(lambda start, length: Run(start, start + length), st.integers(0, 9), st.integers(1, 2))


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.lists(st.lists(RUN, max_size=2), max_size=7))
def test_groups_cover_the_batch_in_order_and_each_is_one_view(sequences: list[list[Run]]) -> None:
    arena = Arena(1, 12, 1)
    arena.k[0, 0, :, 0] = torch.arange(12)
    groups = alike(sequences)
    assert [place for group in groups for place in range(*group.indices(len(sequences)))] == [*range(len(sequences))]
    for group in groups:
        slots = [[slot for run in runs for slot in range(*run)] for runs in sequences[group]]
        views = arena.views(sequences[group])
        found = torch.cat([k[:, 0, :, 0] for k, _ in views], dim=1).tolist() if views else [[]]
        assert found == slots


def test_the_operator_answers_as_the_views_do_and_is_called_once() -> None:
    torch.manual_seed(0)
    caches = {
        form: PagedKVCache(3, KV_HEADS, [20, 5, 40], WIDTH, page_size=4, decode=form) for form in ("views", "operator")
    }
    q, many = normal(3, HEADS, 1, WIDTH), normal(3, HEADS, 2, WIDTH)
    outs = {}
    for form, cache in caches.items():
        for sequence, length in zip(cache.sequences, (11, 2, 33), strict=True):
            cache.select(sequence).append(*kv(length, seed=sequence))
        cache.evict(cache.sequences[2])
        with Log() as log:
            outs[form] = cache.attend(q), cache.attend(many)
        assert log.names.count("paged_decode") == (form == "operator")
    for mine, plain in zip(outs["operator"], outs["views"], strict=True):
        assert torch.allclose(mine, plain, atol=1e-6)
    with pytest.raises(ShapeError, match="decode='tables', wanted views or operator"):
        PagedKVCache(1, 1, 8, WIDTH, decode="tables")


def test_what_lies_in_other_pages_is_not_seen() -> None:
    cache = pool(2, 64)
    first, second = cache.sequences
    for at in range(5):
        cache.select(first).append(*kv(3, seed=at))
        cache.select(second).append(*kv(3, seed=90 + at))
    k, v = (torch.cat(ts, dim=2) for ts in zip(*(kv(3, seed=at) for at in range(5)), strict=True))
    runs = cache.pager.runs(first)
    assert len(runs) > 1
    outside = torch.ones(64, dtype=torch.bool)
    for run in runs:
        outside[run.start : run.stop] = False
    cache.arena.k[:, :, outside] = torch.nan
    cache.arena.v[:, :, outside] = torch.nan
    for L in (1, 2, 7, 15):
        q = normal(1, HEADS, L, WIDTH)
        assert torch.allclose(cache.select(first).attend(q).double(), whole(q, k, v), atol=1e-6)


def test_a_fork_shares_pages_until_one_of_both_writes() -> None:
    cache = pool(1, 64)
    first = cache.sequences[0]
    cache.append(*kv(10))
    fork = cache.fork(first)
    assert cache.pager.pages(fork) == cache.pager.pages(first)[:3]
    cache.append(*kv(1, seed=5, batch=2))
    k, v = kv(10)
    for place, sequence in enumerate(cache.sequences):
        new_k, new_v = (t[place : place + 1] for t in kv(1, seed=5, batch=2))
        assert same(held(cache, sequence), [torch.cat((k, new_k), dim=2), torch.cat((v, new_v), dim=2)])
    assert sum(cache.pager.references(page) == 2 for page in cache.pager.pages(first)) == 2
    cache.leave(first)
    assert [t.shape[2] for t in held(cache, fork)] == [11, 11]


def test_the_sequence_asked_for_longest_ago_waits_on_the_host_and_comes_back_as_it_was() -> None:
    cache = pool(3, 32)
    a, b, c = cache.sequences
    before = {}
    for sequence in (a, b):
        cache.select(sequence).append(*kv(14, seed=sequence))
        before[sequence] = held(cache, sequence)
    held(cache, a)
    cache.select(c).append(*kv(14, seed=c))
    assert cache.eviction.waiting == (b,)
    assert cache.lengths == (14, 14, 14)
    q = normal(1, HEADS, 3, WIDTH)
    expected = whole(q, *before[b])
    assert torch.allclose(cache.select(b).attend(q).double(), expected, atol=1e-6)
    assert cache.eviction.waiting == (a,)
    assert same(held(cache, b), before[b])
    assert same(held(cache, a), before[a])


def test_what_was_scattered_comes_back_in_one_run() -> None:
    cache = pool(2, 64)
    a, b = cache.sequences
    for at in range(5):
        for sequence in (a, b):
            cache.select(sequence).append(*kv(3, seed=at))
    before = held(cache, a)
    assert len(cache.pager.runs(a)) > 1
    cache.evict(a)
    assert same(held(cache, a), before)
    assert len(cache.pager.runs(a)) == 1


def test_waiting_sequences_are_shortened_started_anew_and_forked_like_others() -> None:
    cache = pool(2, 64)
    a, b = cache.sequences
    cache.append(*kv(9, batch=2))
    before = held(cache, a)
    for sequence in (a, b):
        cache.evict(sequence)
    cache.truncate(5)
    assert same(held(cache, a), [t[:, :, :5] for t in before])
    cache.evict(a)
    fork = cache.fork(a)
    assert same(held(cache, fork), held(cache, a))
    cache.evict(b)
    cache.select(b).reset()
    assert cache.lengths == (5, 0, 5)


def test_a_batch_that_does_not_fit_is_refused_as_a_whole() -> None:
    cache = pool(2, 32)
    cache.append(*kv(14, batch=2))
    third = cache.join()
    before = [held(cache, sequence) for sequence in cache.sequences[:2]]
    with pytest.raises(CacheFull, match="1 more pages of 4 tokens wanted, 0 of 8 are free or spare"):
        cache.append(*kv(2, batch=3))
    assert cache.lengths == (14, 14, 0)
    assert all(same(held(cache, sequence), was) for sequence, was in zip(cache.sequences[:2], before, strict=True))
    cache.leave(third)
    cache.append(*kv(2, batch=2))
    assert cache.lengths == (16, 16)


def test_sequences_join_and_leave_between_steps() -> None:
    cache = pool(2, 64)
    first, second = cache.sequences
    cache.append(*kv(5, batch=2))
    cache.leave(first)
    third = cache.join(room=20)
    cache.select(third).append(*kv(2, seed=3))
    cache.append(*kv(1, seed=4, batch=2))
    assert cache.sequences == (second, third)
    assert cache.lengths == (6, 3)
    assert cache.attend(normal(2, HEADS, 1, WIDTH)).shape == (2, HEADS, 1, VALUES)
    assert cache.select().attend(normal(0, HEADS, 1, WIDTH)).shape == (0, HEADS, 1, VALUES)


def test_a_sequence_that_has_ended_is_named_wherever_it_is_asked_for() -> None:
    cache = pool(2, 64)
    cache.append(*kv(5, batch=2))
    ended, other = cache.sequences
    stale = cache.select(ended)
    cache.leave(ended)
    for ask in (
        lambda: cache.select(ended),
        lambda: cache.fork(ended),
        lambda: cache.evict(ended),
        lambda: cache.save(ended, io.BytesIO()),
        lambda: stale.attend(normal(1, HEADS, 1, WIDTH)),
        lambda: stale.append(*kv(1)),
        lambda: stale.truncate(0),
        stale.reset,
    ):
        with pytest.raises(ShapeError, match=f"sequence {ended} was released"):
            ask()
    with pytest.raises(ShapeError, match=f"sequence {ended} leaves, wanted one of"):
        cache.leave(ended)
    with pytest.raises(ShapeError, match="each sequence once"):
        cache.select(other, other)
    cache.select(cache.join()).append(*kv(56, seed=1))
    assert cache.eviction.waiting == ()
    cache.select(cache.join()).append(*kv(4, seed=1))
    assert cache.eviction.waiting == (other,), "nothing that has ended is looked for when room is made"


def test_a_sequence_is_saved_and_found_again_in_another_cache(tmp_path) -> None:
    cache, other = pool(2, 64), pool(1, 32, page_size=2)
    a, b = cache.sequences
    for at in range(3):
        cache.select(a).append(*kv(4, seed=at))
        cache.select(b).append(*kv(4, seed=9))
    cache.save(a, tmp_path / "a.pt")
    loaded = other.load(tmp_path / "a.pt")
    assert other.sequences[-1] == loaded
    assert same(held(other, loaded), held(cache, a))


def test_what_is_no_saved_sequence_is_named(tmp_path) -> None:
    cache = pool(1, 32)
    for content in (b"", b"not a file of torch's"):
        with pytest.raises(ShapeError, match="cannot be read"):
            cache.load(io.BytesIO(content))
    for content, met in (([1], "list"), ({"k": torch.zeros(1)}, r"\['k'\]"), ({"k": 1, "v": 2}, r"\['k', 'v'\]")):
        torch.save(content, tmp_path / "other.pt")
        with pytest.raises(ShapeError, match=rf"holds {met}"):
            cache.load(tmp_path / "other.pt")
    k, v = kv(40)
    for content, kind in (((k[..., :3], v), ShapeError), ((k.double(), v.double()), ShapeError), ((k, v), CacheFull)):
        torch.save(dict(zip("kv", content, strict=True)), tmp_path / "other.pt")
        with pytest.raises(kind):
            cache.load(tmp_path / "other.pt")
    assert cache.pager.sequences == cache.sequences, "what was not loaded is not there"


def test_sizes_that_make_no_cache_are_named() -> None:
    for sizes in ((1, 2, 0, 8), (2, 2, [8], 8), (1, 0, 8, 8), (0, 2, 8, 8)):
        with pytest.raises(ShapeError):
            PagedKVCache(*sizes)
    with pytest.raises(ShapeError, match="page_size=0"):
        PagedKVCache(1, 2, 8, 8, page_size=0)
