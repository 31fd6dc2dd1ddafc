"""INT8: half a step is the only error, the scales go where they belong, and a model still answers when quantised."""

import math

import pytest
import torch
from torch import Tensor, nn

from attention import MultiHeadAttention, ShapeError, Unsupported
from attention.quantization import (
    INT8_MODES,
    PACKED_ROWS,
    Int8Linear,
    int8_product,
    int_mm_takes,
    quantize_int8_,
    quantize_kv,
    quantize_rows,
)

every_mode = pytest.mark.parametrize("mode", INT8_MODES)


def linear(K: int, N: int, *, bias: bool = True, dtype: torch.dtype = torch.float32) -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(K, N, bias=bias, dtype=dtype)


def dequantised(layer: Int8Linear) -> Tensor:
    return layer.weight.double() * layer.scale.double()[:, None]


# --- rows -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_a_number_is_off_by_half_a_step_at_most(dtype) -> None:
    torch.manual_seed(1)
    sizes = torch.tensor([[1e-3], [1.0], [60.0], [1e3]]).to(dtype)
    x = torch.randn(4, 513).to(dtype) * sizes
    numbers, scale = quantize_rows(x)
    assert numbers.abs().amax(dim=-1).tolist() == [127] * 4, "a row's largest number is the largest there is"
    step = x.double().abs().amax(dim=-1, keepdim=True) / 127
    error = (numbers.double() * scale.double()[:, None] - x.double()).abs()
    # The step itself is rounded to float32: 127 times half a rounding beside half a step.
    assert (error <= step * (0.5 + 127 * torch.finfo(torch.float32).eps)).all()


def test_a_row_of_another_size_changes_no_row() -> None:
    x = torch.randn(3, 64)
    alone, scale = quantize_rows(x[:1])
    x[1] *= 1e6
    together, scales = quantize_rows(x)
    assert torch.equal(together[:1], alone)
    assert torch.equal(scales[:1], scale)


def test_zeros_stay_zeros_and_signs_do_not_matter() -> None:
    numbers, scale = quantize_rows(torch.zeros(2, 8))
    assert not numbers.any()
    assert torch.isfinite(scale).all()
    x = torch.randn(5, 33)
    assert torch.equal(quantize_rows(-x)[0], -quantize_rows(x)[0])


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_makes_no_number_of_its_row_and_leaves_the_others(bad) -> None:
    x = torch.randn(3, 16)
    x[1, 4] = bad
    numbers, scale = quantize_rows(x)
    back = numbers * scale[:, None]
    assert not torch.isfinite(back[1]).any()
    assert torch.isfinite(back[[0, 2]]).all()


def test_keys_have_a_scale_for_each_token_and_head() -> None:
    t = torch.randn(2, 3, 5, 8)
    numbers, scale = quantize_kv(t)
    assert (numbers.shape, scale.shape) == (t.shape, t.shape[:3])
    assert torch.equal(scale, t.abs().amax(dim=-1) / 127)


@pytest.mark.parametrize(
    ("quantise", "bad", "met"),
    [
        (quantize_rows, torch.zeros(3, dtype=torch.int32), "[3] torch.int32"),
        (quantize_rows, torch.zeros(3, 0), "[3, 0]"),
        (quantize_rows, torch.tensor(1.0), "[]"),
        (quantize_kv, torch.zeros(2, 3, 4), "[2, 3, 4]"),
    ],
)
def test_what_has_no_rows_is_refused(quantise, bad, met) -> None:
    with pytest.raises(ShapeError) as error:
        quantise(bad)
    assert met in str(error.value)


# --- the layer --------------------------------------------------------------------------------------------------------


@every_mode
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize(("leading", "K", "N"), [((), 3, 5), ((1,), 64, 40), ((2, 17), 129, 8), ((0, 4), 16, 16)])
def test_a_layer_multiplies_what_its_bytes_stand_for(leading, K, N, bias, mode) -> None:
    layer = Int8Linear.from_linear(linear(K, N, bias=bias), mode=mode)
    x = torch.randn(*leading, K)
    meant = x.double()
    if mode == "dynamic":
        numbers, scale = quantize_rows(x)
        meant = numbers.double() * scale.double()[..., None]
    expected = meant @ dequantised(layer).T + (0.0 if layer.bias is None else layer.bias.double())
    with torch.no_grad():
        found = layer(x)
    assert found.shape == (*leading, N)
    # Rounded: each of K products and sums, at the worst all one way, by half an epsilon of the sizes that are summed.
    allowed = (meant.abs() @ dequantised(layer).abs().T + 1.0) * (K + 4) * torch.finfo(torch.float32).eps / 2
    assert ((found.double() - expected).abs() <= allowed).all()


@every_mode
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("rows", [1, PACKED_ROWS, PACKED_ROWS + 1])
def test_a_layer_answers_in_the_dtype_that_it_is_asked_in(rows, dtype, mode) -> None:
    layer = Int8Linear.from_linear(linear(64, 48), mode=mode)
    x = torch.randn(rows, 64).to(dtype)
    with torch.no_grad():
        found, wide = layer(x), layer(x.float()).double()
    assert found.dtype == dtype
    # The scale, the weight, the sum and the bias are each rounded once, to the dtype; for float64 to the scales' own.
    rounding = torch.finfo(torch.float32 if dtype == torch.float64 else dtype).eps
    assert (found.double() - wide).abs().max() <= 4 * rounding * wide.abs().max()


@every_mode
def test_small_weights_keep_their_digits_in_float16(mode) -> None:
    """Scales of 1e-7 have one digit in float16: the layer must not hold or use them there."""
    plain = linear(64, 16, bias=False)
    plain.weight.data *= 1e-4
    layer = Int8Linear.from_linear(plain, mode=mode).half()
    assert layer.scale.dtype == torch.float32
    assert layer.weight.dtype == torch.int8
    x = torch.full((2, 64), 2.0, dtype=torch.float16)
    with torch.no_grad():
        found = layer(x).double()
    expected = x.double() @ dequantised(layer).T
    assert (found - expected).norm() <= 2e-2 * expected.norm()  # weights near 1e-5 have 8 bits in float16


def test_a_gradient_passes_the_weight_only_layer_and_no_other() -> None:
    x = torch.randn(4, 24, requires_grad=True)
    layer = Int8Linear.from_linear(linear(24, 6))
    (gradient,) = torch.autograd.grad(layer(x).sum(), x)
    assert torch.allclose(gradient[0].double(), dequantised(layer).sum(dim=0), atol=1e-6)  # sums of six float32
    dynamic = Int8Linear.from_linear(linear(24, 6), mode="dynamic")
    with pytest.raises(Unsupported, match="no gradient"):
        dynamic(x)
    with torch.no_grad():
        dynamic(x)


def test_whole_numbers_and_floats_multiply_alike(monkeypatch) -> None:
    torch.manual_seed(2)
    x, weight = (torch.randint(-127, 128, (n, 1040), dtype=torch.int8) for n in (5, 7))
    x[0], weight[0] = 127, 127  # the largest sum that float32 still counts
    exact = x.long() @ weight.long().T
    assert torch.equal(int8_product(x, weight).long(), exact)
    monkeypatch.setattr("attention.quantization.int_mm_takes", lambda *_: False)
    assert torch.equal(int8_product(x, weight).long(), exact)


def test_cuda_multiplies_whole_eights_alone_and_mps_not_at_all() -> None:
    asked = [("cuda", 16, 24), ("cuda", 16, 20), ("cuda", 12, 24), ("mps", 16, 24), ("cpu", 5, 3)]
    assert [int_mm_takes(*case) for case in asked] == [True, False, False, False, True]


@every_mode
def test_a_layer_costs_a_byte_a_weight(mode) -> None:
    layer = Int8Linear.from_linear(linear(100, 30), mode=mode)
    assert sum(t.nbytes for t in layer.state_dict().values()) == 30 * (100 + 4) + 30 * 4
    assert list(layer.parameters()) == []


def test_a_layer_takes_the_floats_of_what_it_replaces_and_its_own_bytes() -> None:
    plain = linear(20, 6)
    made, loaded, again = Int8Linear.from_linear(plain), Int8Linear(20, 6), Int8Linear(20, 6)
    loaded.load_state_dict(plain.state_dict())
    again.load_state_dict(loaded.state_dict())
    for name, value in made.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name
        assert torch.equal(again.state_dict()[name], value), name
    assert torch.equal(plain.state_dict()["weight"], plain.weight), "the floats are left as they were"


@every_mode
@pytest.mark.parametrize(
    ("x", "met"),
    [
        (torch.zeros(2, 7), "[2, 7]"),
        (torch.tensor(1.0), "[]"),
        (torch.zeros(2, 8, dtype=torch.int8), "torch.int8"),
        (torch.zeros(2, 8, device="meta"), "on meta"),
    ],
)
def test_what_a_layer_cannot_multiply_is_refused(x, met, mode) -> None:
    with pytest.raises(ShapeError) as error:
        Int8Linear(8, 4, mode=mode)(x)
    assert met in str(error.value)


@pytest.mark.parametrize("wrong", [{"in_features": 0}, {"out_features": 0}, {"mode": "int4"}])
def test_a_layer_that_cannot_be_is_refused(wrong) -> None:
    with pytest.raises(ShapeError, match=str(next(iter(wrong.values())))):
        Int8Linear(**{"in_features": 4, "out_features": 4, **wrong})


# --- a whole module ---------------------------------------------------------------------------------------------------


def test_layers_are_replaced_by_name_once_each_and_subclasses_stay() -> None:
    class Own(nn.Linear):
        pass

    shared = nn.Linear(4, 4)
    model = nn.ModuleDict(
        {"a": nn.Sequential(shared, nn.ReLU()), "b": shared, "own": Own(4, 4), "head": nn.Linear(4, 2)}
    )
    names = quantize_int8_(model, mode="dynamic", select=lambda name: name != "head")
    assert names == ("a.0", "b")
    assert model["a"][0] is model["b"]
    assert isinstance(model["b"], Int8Linear)
    assert model["b"].mode == "dynamic"
    assert (type(model["own"]), type(model["head"])) == (Own, nn.Linear)


def test_a_lone_layer_or_an_unknown_mode_changes_nothing() -> None:
    with pytest.raises(Unsupported, match="from_linear"):
        quantize_int8_(nn.Linear(2, 2))
    model = nn.Sequential(nn.Linear(2, 2))
    with pytest.raises(ShapeError, match="int4"):
        quantize_int8_(model, mode="int4")
    assert type(model[0]) is nn.Linear


@every_mode
@pytest.mark.parametrize("fused", [True, False], ids=["fused", "separate"])
def test_multi_head_attention_works_when_it_is_quantised(fused, mode) -> None:
    torch.manual_seed(3)
    model = MultiHeadAttention(64, 4, num_kv_heads=2, fused_qkv=fused).requires_grad_(False)
    x = torch.randn(2, 9, 64)
    expected = model(x)
    assert quantize_int8_(model, mode=mode) == (("qkv", "out") if fused else ("query", "key", "value", "out"))
    # Two layers one behind the other, each within 2.5 % (guard G16), and the softmax between them.
    assert (model(x) - expected).norm() <= 0.05 * expected.norm()
