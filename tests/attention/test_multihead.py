"""Multi-head attention against the oracle between its projections: every backend, sharing, width and cache."""

import copy
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from attention import (
    ConcatKVCache,
    EncoderKV,
    GrowingKVCache,
    MultiHeadAttention,
    RotaryEmbedding,
    ShapeError,
    StaticKVCache,
    Unsupported,
    attention_reference,
    causal_mask,
)
from attention.multihead import BACKENDS, GROUPED
from attention.quantization import quantize_int8_
from benchmarks.observe import operators

B, L, S, C, HEADS = 2, 7, 9, 16, 4
every_backend = pytest.mark.parametrize("backend", BACKENDS)
#: In float64, on numbers of about one: several hundred roundings of 2e-16.
TOLERANCE = 1e-13
#: Sharing and widths that a module may have.
SIZES = {
    "equal": {},
    "key_dim, value_dim": {"key_dim": 6, "value_dim": 5},
    "shared": {"num_kv_heads": 2},
    "one for all": {"num_kv_heads": 1, "key_dim": 6, "value_dim": 2},
}


def module(**options: object) -> MultiHeadAttention:
    torch.manual_seed(0)
    made = MultiHeadAttention(C, HEADS, **options).double()
    for parameter in made.parameters():  # nn.Linear's own are so small that every softmax is nearly even
        nn.init.normal_(parameter, std=0.5)
    return made


def some_x(length: int = L, width: int = C) -> Tensor:
    return torch.randn(B, length, width, dtype=torch.float64, generator=torch.Generator().manual_seed(length))


def by_hand(m: MultiHeadAttention, x: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
    """The oracle between the module's own weights."""
    weights = m.qkv.weight.split(m.widths) if m.fused_qkv else (m.query.weight, m.key.weight, m.value.weight)
    given = x, *([x if context is None else context] * 2)
    widths = m.key_dim, m.key_dim, m.value_dim
    q, k, v = (
        (t @ weight.T).unflatten(-1, (-1, width)).transpose(1, 2)
        for t, weight, width in zip(given, weights, widths, strict=True)
    )
    if m.rotary is not None:
        q, k = m.rotary(q), m.rotary(k)
    k, v = (t.repeat_interleave(HEADS // m.num_kv_heads, dim=1) for t in (k, v))
    out = attention_reference(q, k, v, attn_mask=mask, is_causal=m.causal and context is None)
    return out.transpose(1, 2).flatten(2) @ m.out.weight.T


def assert_equal(result: Tensor, exact: Tensor) -> None:
    assert result.shape == exact.shape
    assert (result - exact).abs().max() <= TOLERANCE * max(1.0, exact.abs().max())


@every_backend
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])
@pytest.mark.parametrize("fused_qkv", [False, True], ids=["separate", "fused"])
def test_each_backend_equals_the_oracle(backend, sizes, causal, fused_qkv) -> None:
    if "num_kv_heads" in SIZES[sizes] and backend not in GROUPED:
        with pytest.raises(Unsupported, match=f"the {backend} backend has no shared key heads; sdpa, "):
            module(backend=backend, **SIZES[sizes])
        return
    m = module(backend=backend, causal=causal, fused_qkv=fused_qkv, **SIZES[sizes])
    mask = torch.rand(B, 1, L, L, generator=torch.Generator().manual_seed(1)) > 0.3
    for given in (None, mask):
        x = some_x().requires_grad_()
        results = m(x, mask=given), by_hand(m, x, mask=given)
        assert_equal(*results)
        wanted = [x, *m.parameters()]
        gradients = (torch.autograd.grad(out.square().sum(), wanted) for out in results)
        for mine, exact in zip(*gradients, strict=True):
            assert_equal(mine, exact)


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("options", [{"fused_qkv": True}, {"fused_qkv": False}, {"fused_qkv": False, "kv_width": 10}])
def test_another_sequence_is_seen_whole_once_or_kept(options, sizes) -> None:
    m = module(**options, **SIZES[sizes]).eval()
    x, context = some_x(), some_x(S, options.get("kv_width", C))
    exact = by_hand(m, x, context)
    assert_equal(m(x, context), exact)
    encoder = m.encode(context)
    assert isinstance(encoder, EncoderKV)
    assert_equal(m(x, cache=encoder), exact)
    assert_equal(m(x[:, 3:4], cache=encoder), exact[:, 3:4])
    padding = torch.arange(S)[None, None, None, :] < torch.tensor([5, 8])[:, None, None, None]
    assert_equal(m(x, context, mask=padding), by_hand(m, x, context, padding))


def test_it_is_torchs_own_multi_head_attention() -> None:
    m, theirs = module(), nn.MultiheadAttention(C, HEADS, bias=False, batch_first=True).double()
    theirs.load_state_dict({"in_proj_weight": m.qkv.weight, "out_proj.weight": m.out.weight})
    x = some_x()
    assert_equal(m(x), theirs(x, x, x, attn_mask=~causal_mask(L), need_weights=False)[0])


@pytest.mark.parametrize("sizes", SIZES)
def test_fused_and_separate_forms_load_each_others_weights(sizes) -> None:
    forms = [nn.Sequential(module(fused_qkv=fused, **SIZES[sizes])) for fused in (True, False)]
    for giver, taker in (forms, forms[::-1]):
        for parameter in giver.parameters():
            nn.init.normal_(parameter)
        saved = giver.state_dict()
        names = list(saved)
        taker.load_state_dict(saved)
        assert_equal(taker(some_x()), giver(some_x()))
        assert list(saved) == names


def test_weights_of_other_heads_are_refused_though_they_are_as_many() -> None:
    fewer = module(num_kv_heads=2, key_dim=6, fused_qkv=False).state_dict()
    with pytest.raises(ShapeError, match=r"\[\[24, 16\], \[12, 16\], \[12, 16\]\], wanted 16, 16, 16 along axis 0"):
        module().load_state_dict(fewer)
    with pytest.raises(ShapeError, match=r"qkv.weight: met \[\[48, 16\]\], wanted 72 along axis 0"):
        module(key_dim=6, fused_qkv=False).load_state_dict(module().state_dict())


@every_backend
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_checkpointing_changes_no_number(backend, dropout) -> None:
    results = []
    for again in (False, True):
        m = module(backend=backend, dropout=dropout, checkpoint=again)
        x = some_x().requires_grad_()
        torch.manual_seed(5)
        out = m(x)
        results.append((out, *torch.autograd.grad(out.square().sum(), [x, *m.parameters()])))
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))


def test_checkpointing_keeps_no_scores() -> None:
    x = torch.zeros(1, 64, C).double()
    largest = []
    for again in (False, True):
        sizes = [0]
        with torch.autograd.graph.saved_tensors_hooks(lambda t, s=sizes: (s.append(t.numel()), t)[1], lambda t: t):
            module(backend="naive", checkpoint=again)(x)
        largest.append(max(sizes))
    assert largest[0] == HEADS * 64 * 64
    assert largest[1] < HEADS * 64 * 64


@pytest.mark.parametrize("backend", ["sdpa", "grouped"])
@pytest.mark.parametrize("sizes", [{}, {"num_kv_heads": 2}])
@pytest.mark.parametrize("rotary", [None, RotaryEmbedding(4)], ids=["plain", "rotary"])
def test_nothing_is_copied_between_projection_and_kernel(rotary, sizes, backend) -> None:
    m = MultiHeadAttention(C, HEADS, backend=backend, rotary=rotary, **sizes).requires_grad_(False)
    run = operators(lambda: m(torch.zeros(B, L, C)))
    assert run.backend == "flash"
    copies = ("clone", "contiguous", "copy", "cat", "repeat", "index_select")
    assert [name for name in run.counts if any(part in name for part in copies)] == []


CACHES = {
    "concat": lambda m: ConcatKVCache(),
    "growing": lambda m: GrowingKVCache(step=3),
    "static": lambda m: StaticKVCache(B, m.num_kv_heads, L, m.key_dim, m.value_dim, dtype=torch.float64),
}


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("cache", CACHES)
@pytest.mark.parametrize("turns", [False, True], ids=["plain", "rotary"])
def test_steps_through_a_cache_are_the_whole_sequence(turns, cache, sizes) -> None:
    rotary = RotaryEmbedding(SIZES[sizes].get("key_dim", 4), max_length=L) if turns else None
    m = module(rotary=rotary, **SIZES[sizes])
    x, kept = some_x(), CACHES[cache](m)
    exact = by_hand(m, x)
    assert_equal(m(x), exact)
    pieces = [m(x[:, a:b], cache=kept) for a, b in ((0, 3), (3, 4), (4, 5), (5, 7))]
    assert_equal(torch.cat(pieces, dim=1), exact)
    assert kept.seq_len == L


def test_positions_may_be_given() -> None:
    m = module(rotary=RotaryEmbedding(4, max_length=30))
    x = some_x()
    # Scores depend on distance alone, up to the float32 tables.
    assert torch.allclose(m(x, positions=20), m(x), rtol=1e-5, atol=1e-5)
    twice = torch.cat((torch.arange(3), torch.arange(4)))
    assert not torch.allclose(m(x, positions=twice), m(x))


@every_backend
def test_autocast_is_as_near_as_a_model_in_bfloat16(backend) -> None:
    m = module(backend=backend)
    x = some_x()
    exact = m(x)
    plain = copy.deepcopy(m)
    plain.backend = "naive"
    allowed = 2 * (plain.bfloat16()(x.bfloat16()).double() - exact).abs().max()
    allowed += torch.finfo(torch.bfloat16).eps * exact.abs().max()  # one rounding
    wide = m.float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = wide(x.float())
        assert_equal(wide(x.float(), mask=causal_mask(L)).double(), out.double())
    assert out.dtype == torch.bfloat16
    assert (out.double() - exact).abs().max() <= allowed


@pytest.fixture
def compiler():
    torch._dynamo.reset()
    yield partial(torch.compile, fullgraph=True, backend="eager")
    torch._dynamo.reset()


@every_backend
def test_a_compiler_sees_one_graph(backend, compiler) -> None:
    m = module(backend=backend, rotary=RotaryEmbedding(4))
    x = some_x()
    eager = m(x)  # whose masks are in the cache when the compiler comes
    assert_equal(compiler(m)(x), eager)  # a graph break would raise


def test_an_int8_layer_serves_one_sequence_and_separate_ones_two() -> None:
    x, context = some_x().float(), some_x(S).float()
    m = module().float()
    exact = m(x)
    quantize_int8_(m)
    # Weights are rounded to one in 254 of their row's largest.
    assert (m(x) - exact).abs().max() <= 0.05 * exact.abs().max()
    with pytest.raises(Unsupported, match="quantised joint projection"):
        m(x, context)
    separate = module(fused_qkv=False).float()
    exact = separate(x, context)
    quantize_int8_(separate)
    assert (separate(x, context) - exact).abs().max() <= 0.05 * exact.abs().max()


@pytest.mark.parametrize(
    ("options", "met"),
    [
        ({"num_heads": 5}, "embed_dim=16 over 5 heads"),
        ({"num_heads": 0}, "num_heads=0"),
        ({"num_kv_heads": 3}, "num_heads=4, num_kv_heads=3"),
        ({"num_kv_heads": 0}, "num_kv_heads=0"),
        ({"key_dim": 0}, "key_dim=0"),
        ({"value_dim": -1}, "value_dim=-1"),
        ({"backend": "magic"}, "backend='magic', wanted one of naive, "),
    ],
)
def test_sizes_that_make_no_module_are_named(options, met) -> None:
    with pytest.raises(ShapeError, match=met):
        MultiHeadAttention(**{"embed_dim": C, "num_heads": HEADS} | options)


X, CONTEXT = torch.zeros(B, L, C), torch.zeros(B, S, C)


@pytest.mark.parametrize(
    ("arguments", "met"),
    [
        ({"x": X[0]}, r"x \[7, 16\], wanted \[B, L, 16\]"),
        ({"x": X[..., :9]}, r"x \[2, 7, 9\]"),
        ({"x": X.double()}, "x torch.float64 on cpu, wanted torch.float32 on cpu"),
        ({"x": X.long()}, "x torch.int64"),
        ({"x": X.to("meta")}, "x torch.float32 on meta"),
        ({"context": CONTEXT[..., :10]}, r"context \[2, 9, 10\], wanted \[B, L, 16\]"),
        ({"context": CONTEXT[:1]}, r"q \[2, 4, 7, 4\], k \[1, 4, 9, 4\]"),
        ({"context": CONTEXT.bfloat16()}, "context torch.bfloat16"),
        ({"mask": torch.ones(L, S).bool()}, r"attn_mask \[7, 9\]"),
        ({"mask": torch.ones(B, L, L).bool()}, r"attn_mask \[2, 7, 7\]"),
    ],
)
def test_inputs_that_do_not_fit_are_named(arguments, met) -> None:
    with pytest.raises(ShapeError, match=met):
        MultiHeadAttention(C, HEADS)(**{"x": X} | arguments)


def test_what_cannot_be_done_says_why() -> None:
    m = MultiHeadAttention(C, HEADS)
    wide = MultiHeadAttention(C, HEADS, kv_width=10, fused_qkv=False)
    turning = MultiHeadAttention(C, HEADS, rotary=RotaryEmbedding(4))
    with pytest.raises(ShapeError, match=r"no context, wanted one \[B, S, 10\]"):
        wide(X)
    with pytest.raises(ShapeError, match=r"context \[2, 9, 16\], wanted \[B, L, 10\]"):
        wide.encode(CONTEXT)
    with pytest.raises(Unsupported, match="another width than queries"):
        MultiHeadAttention(C, HEADS, kv_width=10)
    for wrong in ({"context": CONTEXT}, {"mask": causal_mask(L)}):
        with pytest.raises(Unsupported, match="neither a context nor a mask"):
            m(X, cache=ConcatKVCache(), **wrong)
    with pytest.raises(Unsupported, match="is causal, this module is not"):
        MultiHeadAttention(C, HEADS, causal=False)(X, cache=ConcatKVCache())
    with pytest.raises(Unsupported, match="without dropout"):
        MultiHeadAttention(C, HEADS, dropout=0.1)(X, cache=ConcatKVCache())
    with pytest.raises(Unsupported, match="positions turn nothing"):
        m(X, positions=3)
    for wrong in ({"context": CONTEXT}, {"cache": turning.encode(CONTEXT)}):
        with pytest.raises(Unsupported, match="positions of two sequences"):
            turning(X, **wrong)
