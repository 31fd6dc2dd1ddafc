"""G3: eight cases of multi-head attention give the numbers that an oracle outside of this library gave once.

fixtures.json holds them: inputs that are exact in every dtype, and results of NumPy in float64, which
tools/make_fixtures.py computes a query at a time. They are read, not computed: what this folder gets wrong in its own
oracle, or a new PyTorch in all of its kernels alike, is seen here.
"""

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

GUARD = "G3"
COVERS = r"(\w+\.(Projection|Kernels|Backward|Decode|Cache)|kv_cache\.\w+)\.\w+"
FIXTURES = json.loads((Path(__file__).parent / "fixtures.json").read_text())

SHARING = ("sdpa", "repeated_kv", "grouped")
BACKENDS = ("naive", "masked", "sdpa", "chunked", "checkpointed", "repeated_kv", "grouped")
CACHES = ("ConcatKVCache", "StaticKVCache", "GrowingKVCache", "PagedKVCache")
#: Backends that drop weights through PyTorch's dropout function, where numbers drawn before can be put.
DROPPING = ("naive", "masked")


def numbers(values, dtype="float64", device="cpu"):
    return torch.tensor(values, dtype=torch.float64).to(getattr(torch, dtype)).to(device)


def allowed(expected, dtype, device):
    """Half-width numbers lose half of epsilon in each of five steps: projection, scores, weights, mean, projection."""
    fixed = {"float64": 1e-12, "float32": 1e-6 if device == "cpu" else 1e-5}
    return fixed.get(dtype) or 2.5 * torch.finfo(getattr(torch, dtype)).eps * max(1.0, expected.abs().max().item())


@pytest.fixture
def module(member, dtype, device):
    """A module of a case, with the case's weights."""

    def make(case, **options):
        layer = member("MultiHeadAttention")(**(case["options"] | options))
        layer.load_state_dict({f"{name}.weight": numbers(values) for name, values in case["weights"].items()})
        return layer.to(getattr(torch, dtype)).to(device).requires_grad_(False)

    return make


@pytest.fixture
def holds(within, dtype, device):
    """Judge a result by a case's stored numbers."""

    def judge(result, stored):
        expected = numbers(stored)
        assert result.dtype == getattr(torch, dtype)
        assert result.shape == expected.shape
        within(result, expected, allowed(expected, dtype, device))

    return judge


def test_there_are_eight_cases(member):
    member("MultiHeadAttention")
    named = ["self", "cross", "d_k != d_v", "kv sharing", "cached", "streaming", "large batch", "chunked"]
    assert list(FIXTURES) == named


@pytest.mark.parametrize("fused", [True, False], ids=["fused", "separate"])
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["self", "d_k != d_v", "large batch"])
def test_self_attention(name, backend, fused, dtype, device, module, holds):
    case = FIXTURES[name]
    layer = module(case, backend=backend, fused_qkv=fused, dropout=case.get("dropout_p", 0.0)).eval()
    holds(layer(numbers(case["x"], dtype, device)), case["out"])


@pytest.mark.parametrize("backend", BACKENDS)
def test_cross_attention(backend, dtype, device, module, holds):
    case = FIXTURES["cross"]
    x, context = (numbers(case[name], dtype, device) for name in ("x", "context"))
    layer = module(case, backend=backend)
    holds(layer(x, context), case["out"])
    holds(layer(x, cache=layer.encode(context)), case["out"])


@pytest.mark.parametrize("backend", SHARING)
def test_shared_key_heads(backend, dtype, device, module, holds):
    case = FIXTURES["kv sharing"]
    holds(module(case, backend=backend)(numbers(case["x"], dtype, device)), case["out"])


@pytest.mark.parametrize("cache", CACHES)
@pytest.mark.parametrize("name", ["cached", "streaming"])
def test_a_sequence_in_pieces(name, cache, dtype, device, member, module, holds):
    case = FIXTURES[name]
    layer, x = module(case), numbers(case["x"], dtype, device)
    sizes = (
        () if cache in ("ConcatKVCache", "GrowingKVCache") else (len(x), 2, x.shape[1], layer.key_dim, layer.value_dim)
    )
    held = member(cache)(*sizes, **({"dtype": x.dtype, "device": device} if sizes else {}))
    pieces = [layer(piece, cache=held) for piece in x.split(case["pieces"], dim=1)]
    holds(torch.cat(pieces, dim=1), case["out"])


@pytest.mark.parametrize("backend", DROPPING)
def test_dropout_with_numbers_drawn_before(backend, dtype, device, module, holds, monkeypatch):
    case = FIXTURES["large batch"]
    layer = module(case, backend=backend, dropout=case["dropout_p"]).train()
    asked = []

    def drop(weights, p=0.5, training=True, inplace=False):
        asked.append((p, training))
        return weights * numbers(case["kept"]).to(weights) / (1 - p)

    monkeypatch.setattr(F, "dropout", drop)
    result = layer(numbers(case["x"], dtype, device))
    assert asked == [(case["dropout_p"], True)]
    holds(result, case["dropped_out"])


@pytest.mark.parametrize("kernel", ["chunked", "checkpointed"])
def test_chunks_and_their_gradients(kernel, dtype, device, member, holds):
    case = FIXTURES["chunked"]
    q, k, v, along = (numbers(case[name], dtype, device).requires_grad_() for name in ("q", "k", "v", "along"))
    attend = member(f"{kernel}_attention")
    result = attend(q, k, v, is_causal=True, chunk=case["chunk"])
    holds(result, case["out"])
    gradients = torch.autograd.grad((result * along).sum(), (q, k, v))
    for name, gradient in zip("qkv", gradients, strict=True):
        holds(gradient, case["gradients"][name])
