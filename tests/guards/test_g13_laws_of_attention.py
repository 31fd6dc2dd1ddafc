"""G13: laws that hold for any sizes and numbers, tried on fifty cases each, the same ones every time."""

from functools import partial

import pytest
import torch

hypothesis = pytest.importorskip("hypothesis", reason="Hypothesis is not installed here")
st = hypothesis.strategies

GUARD = "G13"
COVERS = r"(kv_cache|generation)\..*"

law = hypothesis.settings(
    max_examples=50,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
small = st.integers(1, 9)
#: Batch, key heads, query heads of each, queries, keys, width of keys, width of values, where the numbers come from.
cases = st.tuples(
    st.integers(1, 2), st.integers(1, 3), st.integers(1, 3), small, small, small, small, st.integers(0, 10**6)
)


@pytest.fixture
def qkv(device):
    """Numbers of a case, in float64 where there is one: no law depends on rounding."""

    def normal(case):
        B, Hkv, group, L, S, D, Dv, seed = case
        generator = torch.Generator().manual_seed(seed)
        shapes = (B, Hkv * group, L, D), (B, Hkv, S, D), (B, Hkv, S, Dv)
        dtype = torch.float32 if device == "mps" else torch.float64
        return [torch.randn(shape, generator=generator).to(device, dtype) for shape in shapes]

    return normal


@pytest.fixture
def equals(within):
    """Values are of size one, and shifts of scores below 50: a few hundred roundings of what is met on the way."""
    return lambda one, other: within(one, other, 1e-12 if one.dtype == torch.float64 else 1e-4)


def alone(case):
    """As many key heads as query heads."""
    return (*case[:2], 1, *case[3:])


@law
@hypothesis.given(case=cases)
def test_the_order_of_keys_does_not_matter(kernel, case, build, qkv, equals):
    attend, (q, k, v) = build("kernel", kernel), qkv(alone(case))
    order = torch.randperm(k.shape[2], generator=torch.Generator().manual_seed(1)).to(k.device)
    equals(attend(q, k[:, :, order], v[:, :, order]), attend(q, k, v))


@law
@hypothesis.given(case=cases, is_causal=st.booleans())
def test_values_of_one_give_one(kernel, case, is_causal, build, qkv, equals):
    attend, (q, k, v) = build("kernel", kernel), qkv(alone(case))
    result = attend(q, k, torch.ones_like(v), is_causal=is_causal)
    blind = max(q.shape[2] - k.shape[2], 0) if is_causal else 0  # queries before the first key
    equals(result[:, :, blind:], torch.ones_like(result[:, :, blind:]))


@law
@hypothesis.given(case=cases, shift=st.floats(-50, 50))
def test_a_number_added_to_all_scores_of_a_query_does_not_matter(kernel, case, shift, build, qkv, equals):
    attend, (q, k, v) = build("kernel", kernel), qkv(alone(case))
    rows = torch.arange(q.shape[2], dtype=q.dtype, device=q.device)[:, None].cos() * shift
    equals(attend(q, k, v, attn_mask=rows.expand(-1, k.shape[2])), attend(q, k, v))


@law
@hypothesis.given(case=cases, is_causal=st.booleans())
def test_shared_key_heads_are_those_of_every_query_head(sharing, case, is_causal, build, qkv, equals):
    attend, (q, k, v) = partial(build("sharing", sharing), is_causal=is_causal), qkv(case)
    repeated = [t.repeat_interleave(q.shape[1] // t.shape[1], dim=1) for t in (k, v)]
    equals(attend(q, k, v), attend(q, *repeated))


@law
@hypothesis.given(case=cases, more=st.integers(0, 3))
def test_a_window_over_everything_is_causal(local, case, more, sparse, qkv, oracle, equals):
    L = case[3]
    q, k, v = qkv((*case[:4], L, *case[5:]))
    attend, _ = sparse("local", local, L, L + more)
    equals(attend(q, k, v), oracle(q, k, v, is_causal=True))


@law
@hypothesis.given(case=cases)
def test_a_stride_of_one_is_causal(strided, case, sparse, qkv, oracle, equals):
    L = case[3]
    q, k, v = qkv((*case[:4], L, *case[5:]))
    attend, _ = sparse("strided", strided, L, 1)
    equals(attend(q, k, v), oracle(q, k, v, is_causal=True))


@law
@hypothesis.given(
    case=cases,
    page_size=st.integers(1, 5),
    pieces=st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4)), min_size=1, max_size=8),
    gone=st.booleans(),
)
def test_pages_of_any_size_and_order_hold_the_same(case, page_size, pieces, gone, member, qkv, oracle, equals):
    """Sequences grow in turns, their pages among each other's; others may have left, and their pages be taken over."""
    _, Hkv, _, L, _, D, Dv, _ = case
    q, k, v = qkv((3, *case[1:4], 40, *case[5:]))
    cache = member("PagedKVCache")(3, Hkv, 40, D, Dv, page_size=page_size, dtype=q.dtype, device=q.device)
    names, lengths = list(cache.sequences), [0, 0, 0]
    if gone:
        cache.append(*(torch.full_like(t[:, :, :3], torch.nan) for t in (k, v)))
        for name in names:
            cache.leave(name)
        names = [cache.join() for _ in names]
    for which, count in pieces:
        start, lengths[which] = lengths[which], lengths[which] + count
        span = slice(start, start + count)
        cache.select(names[which]).append(k[which : which + 1, :, span], v[which : which + 1, :, span])
    for which, length in enumerate(lengths):
        if length:
            new = q[which : which + 1, :, : min(L, length)]
            held = (t[which : which + 1, :, :length] for t in (k, v))
            equals(cache.select(names[which]).attend(new), oracle(new, *held, is_causal=True))
