"""G16: int8 layers, keys and values are as near to the floats that they stand for as their rounding lets them be."""

import math

import pytest
import torch

GUARD = "G16"
COVERS = r"\w+\.Int8\.\w+|(kv_cache\.\w+|\w+\.Cache)\.\w+\('quantized'.*"
#: Relative error in the Frobenius norm. The largest of some hundred normal numbers is about 3.3 of their deviations:
#: rounding to 1/127 of it leaves 3.3 / 127 / sqrt(12) = 0.75 % in the weights alone, 1.06 % in weights and inputs.
ALLOWED = {"weight_only": 0.01, "dynamic": 0.025}
#: Of the largest magnitude of a token and head: half a step is 1/254 = 3.9e-3.
KV_ALLOWED = 5e-3
#: Rows, width in, width out: one step, a batch, nothing a power of two.
SIZES = ((1, 512, 512), (128, 512, 384), (37, 300, 75))
#: B, Hq, Hkv, D, Dv; then tokens by which a cache grows.
KV_SIZES, PIECES = (2, 6, 3, 48, 40), (17, 1, 5, 1)


def normal(*shape: int, sizes: torch.Tensor, dtype: str) -> torch.Tensor:
    """Numbers whose rows are of very different size: one scale for all of them would drown the small ones."""
    generator = torch.Generator().manual_seed(sum(shape))
    return (torch.randn(*shape, generator=generator) * sizes[:, None]).to(getattr(torch, dtype))


@pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))
@pytest.mark.parametrize("mode", ALLOWED)
def test_a_layer_is_within_its_share_of_the_floats(mode, size, dtype, device, member, within):
    make = member("Int8Linear").from_linear
    rows, width, channels = size
    row_sizes, channel_sizes = torch.logspace(-1, 1, rows), torch.logspace(-2, 0, channels)
    x = normal(rows, width, sizes=row_sizes, dtype=dtype)
    weight = normal(channels, width, sizes=channel_sizes, dtype=dtype)
    linear = torch.nn.Linear(width, channels, bias=False, dtype=weight.dtype, device=device)
    with torch.no_grad():
        linear.weight.copy_(weight)
        found = make(linear, mode=mode)(x.to(device))
    assert found.dtype == x.dtype
    # Every row and channel brought to one size: each counts alike.
    sizes = row_sizes[:, None].double() * channel_sizes.double()
    exact = x.double() @ weight.double().T / sizes
    off = (found.cpu().double() / sizes - exact).norm() / exact.norm()
    within(off, torch.tensor(0.0), ALLOWED[mode])


@pytest.fixture
def filled(member, device):
    """A quantised cache, the queries, keys and values that it was given piece by piece, and what it answered."""

    def make(dtype: str):
        B, Hq, Hkv, D, Dv = KV_SIZES
        length = sum(PIECES)
        sizes = torch.logspace(-1, 1, length)
        k, v = (normal(B, Hkv, length, n, sizes=sizes, dtype=dtype) for n in (D, Dv))
        q = normal(B, Hq, length, D, sizes=torch.ones(length), dtype=dtype)
        cache = member("QuantizedKVCache")(B, Hkv, length, D, Dv, dtype=q.dtype, device=device)
        results = []
        for q_piece, k_piece, v_piece in zip(*(t.to(device).split(PIECES, dim=2) for t in (q, k, v)), strict=True):
            cache.append(k_piece, v_piece)
            results.append(cache.attend(q_piece))
        return cache, (q, k, v), torch.cat(results, dim=2)

    return make


def test_keys_and_values_are_half_a_step_off_at_most(dtype, filled, within):
    cache, (_, k, v), _ = filled(dtype)
    for held, given in zip(cache.gather(), (k, v), strict=True):
        largest = given.double().abs().amax(dim=-1, keepdim=True)
        # What the cache gives back is rounded to its dtype once more.
        allowed = KV_ALLOWED + torch.finfo(given.dtype).eps / 2
        within(held.cpu().double() / largest, given.double() / largest, allowed)


@pytest.mark.parametrize("dtype", ["float32"])
def test_what_is_held_is_what_is_attended_to(dtype, filled, within, oracle, floor):
    """Beyond their rounding keys and values cost no digit. In float32, which is also what the scales are."""
    cache, (q, *_), found = filled(dtype)
    k, v = (t.repeat_interleave(q.shape[1] // t.shape[1], dim=1) for t in cache.gather())
    exact = oracle(*(t.cpu().double() for t in (q, k, v)), is_causal=True)
    within(found, exact, floor(q.to(k.device), k, v, is_causal=True))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_no_number_is_not_made_one(bad, device, member):
    linear = torch.nn.Linear(8, 4, device=device)
    x = torch.ones(2, 8, device=device)
    x[1, 3] = bad
    with torch.no_grad():
        for mode in ALLOWED:
            found = member("Int8Linear").from_linear(linear, mode=mode)(x)
            assert torch.isfinite(found[0]).all()
            assert not torch.isfinite(found[1]).any()
