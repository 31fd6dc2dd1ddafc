"""G5: at every step each cache answers as full causal attention would, and keeps what it was given bit by bit."""

import pytest
import torch

GUARD = "G5"
COVERS = r"(kv_cache\.\w+|\w+\.Cache)\.\w+"
#: Literal, as in the registry; those before the last keep numbers as they are.
CACHES = ("concat", "static", "growing", "paged", "adaptive", "quantized")
EXACT = CACHES[:-1]
#: Against float64, values of unit size in float32.
TOLERANCE = 1e-5
#: Among caches: the same numbers, summed in another order at most.
AMONG_CACHES = 1e-6
#: Half a step of int8, in steps, and the rounding of float32 in finding it.
HALF_A_STEP = 0.5 + 1e-4
#: Of an int8 cache against full attention, relative: a rounding of K and V to 255 steps of a row costs some 0.7 %.
QUANTIZED = 0.02
#: Batch, query heads, key heads, width of keys and of values, and how many tokens come at a time.
SIZES = {
    "shared": (2, 6, 2, 16, 16, (5, 1, 1, 3, 1, 1, 4, 1)),
    "wider values": (1, 9, 3, 12, 20, (1, 1, 2, 7, 1, 1)),
    "a head each": (3, 4, 4, 8, 8, (3, 1, 1, 1, 20)),
    "one for all, long": (1, 8, 1, 32, 32, (250, 1, 1, 1, 1, 1, 1, 1, 40, 1)),
}
every_cache = pytest.mark.parametrize("kv_cache", CACHES)
every_exact_cache = pytest.mark.parametrize("kv_cache", EXACT)
every_size = pytest.mark.parametrize("size", SIZES)


def tokens(size, device, seed=0):
    """q, k and v of all tokens."""
    B, Hq, Hkv, D, Dv, pieces = SIZES[size]
    draw, T = torch.Generator().manual_seed(seed), sum(pieces)
    return [torch.randn(B, H, T, width, generator=draw).to(device) for H, width in ((Hq, D), (Hkv, D), (Hkv, Dv))]


def ranges(size):
    stop = 0
    for length in SIZES[size][-1]:
        yield slice(stop, stop + length)
        stop += length


def step(cache, qkv, new):
    q, k, v = (t[:, :, new] for t in qkv)
    cache.append(k, v)
    return cache.attend(q)


@pytest.fixture
def make(build, device):
    """A cache of a size, by its registered name."""

    def made(name, size):
        B, _, Hkv, D, Dv, pieces = SIZES[size]
        return build("kv_cache", name)(B, Hkv, sum(pieces), D, Dv, dtype=torch.float32, device=device)

    return made


@pytest.fixture
def check(within, oracle):
    """Hold a step's result to full attention in float64 over k and v."""

    def judge(result, q, k, v, tolerance=TOLERANCE):
        within(result, oracle(*(t.cpu().double() for t in (q, k, v)), is_causal=True), tolerance)

    return judge


def equal(stored, given):
    return all(torch.equal(a, b) for a, b in zip(stored, given, strict=True))


@every_size
@every_cache
def test_every_step_is_full_attention_over_what_is_stored(kv_cache, size, device, make, check):
    cache, (q, k, v) = make(kv_cache, size), tokens(size, device)
    for new in ranges(size):
        result = step(cache, (q, k, v), new)
        stored = cache.gather()
        check(result, q[:, :, new], *stored)
        assert cache.seq_len == new.stop
        if kv_cache in EXACT:
            assert equal(stored, (k[:, :, : new.stop], v[:, :, : new.stop]))


@every_size
def test_int8_is_as_near_as_int8_can_be(size, device, make, within, oracle):
    cache, (q, k, v) = make("quantized", size), tokens(size, device)
    results = [step(cache, (q, k, v), new) for new in ranges(size)]
    for stored, given in zip(cache.gather(), (k, v), strict=True):
        steps = given.abs().amax(dim=-1, keepdim=True) / 127
        within((stored - given) / steps, torch.zeros_like(given), HALF_A_STEP)
    exact = oracle(*(t.cpu().double() for t in (q, k, v)), is_causal=True)
    error = (torch.cat(results, dim=2).cpu().double() - exact).norm() / exact.norm()
    within(error, torch.zeros(()), QUANTIZED)


@every_size
@every_exact_cache
def test_the_exact_ones_agree(kv_cache, size, device, make, within):
    cache, plain, qkv = make(kv_cache, size), make("concat", size), tokens(size, device)
    for new in ranges(size):
        within(step(cache, qkv, new), step(plain, qkv, new), AMONG_CACHES)


@every_cache
def test_what_was_forgotten_leaves_no_trace(kv_cache, device, make):
    size = "shared"
    cache, fresh, qkv = make(kv_cache, size), make(kv_cache, size), tokens(size, device)
    k, v = (t * torch.nan for t in qkv[1:])
    for kept in (4, 1, 0):
        fresh.reset()
        cache.reset()
        if kept:
            for each in (cache, fresh):
                step(each, qkv, slice(0, kept))
        cache.append(k[:, :, :9], v[:, :, :9])
        cache.truncate(kept)
        for new in (slice(kept, kept + 2), slice(kept + 2, kept + 3)):
            assert torch.equal(step(cache, qkv, new), step(fresh, qkv, new))
        assert equal(cache.gather(), fresh.gather())


@every_size
def test_pages_between_those_of_others_evicted_and_readmitted(size, device, member, check):
    B, _, Hkv, D, Dv, pieces = SIZES[size]
    pool = member("PagedKVCache")(1, Hkv, 8 * B * sum(pieces) + 8, D, Dv, page_size=2, device=device)
    pool.leave(*pool.sequences)
    cache, others, qkv = pool.select(), pool.select(), tokens(size, device)
    for _ in range(B):
        cache.join()
        others.join()
    seen = set()
    for turn, new in enumerate(ranges(size)):
        for at in range(new.start, new.stop, 3):
            few = slice(at, min(at + 3, new.stop))
            cache.append(*(t[:, :, few] for t in qkv[1:]))
            others.append(*(t[:, :, few] * torch.nan for t in qkv[1:]))
        check(cache.attend(qkv[0][:, :, new]), qkv[0][:, :, new], *(t[:, :, : new.stop] for t in qkv[1:]))
        assert equal(cache.gather(), [t[:, :, : new.stop] for t in qkv[1:]])
        seen |= {len(cache.pager.runs(sequence)) > 1 for sequence in cache.sequences}
        if turn % 2:
            cache.evict(cache.sequences[turn // 2 % B])
    assert seen == {False, True}, "no sequence was in several runs, or none in one"


@every_size
def test_a_cache_that_becomes_another_one_stays_right(size, device, member, check):
    B, _, Hkv, D, Dv, pieces = SIZES[size]
    make, crossover = member("AdaptiveKVCache"), member("Crossover")
    qkv = tokens(size, device)
    for max_length in (sum(pieces), None):
        at = crossover(pieces[0] + 2, pieces[0] + 2, "made up")
        cache = make(B, Hkv, max_length, D, Dv, crossover=at, device=device)
        kinds = []
        for new in ranges(size):
            check(step(cache, qkv, new), qkv[0][:, :, new], *(t[:, :, : new.stop] for t in qkv[1:]))
            kinds.append(type(cache.inner).__name__)
        assert equal(cache.gather(), qkv[1:])
        assert len(set(kinds)) == 2
