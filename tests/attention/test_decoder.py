"""Every form of a decoder gives the same numbers and the same gradients, and spares what its name says."""

import itertools

import pytest
import torch
from torch import Tensor

from attention import ShapeError
from attention.decoder import PLAIN, AttentionDecoder, DecoderForms, RNNDecoder

#: In float64 forms differ by the order of summation alone, some hundred roundings of 2e-16 through a chain of steps.
TOLERANCE = 1e-12
B, T, S, X, C, H, Z, Y = 3, 5, 7, 4, 6, 12, 5, 2
CELLS = ("gru", "lstm")
#: One switch at a time, and all of them.
FORMS: dict[str, DecoderForms] = {
    "cached": {**PLAIN, "cache_encoder_kv": True, "step_loop": True},
    "cached batched": {**PLAIN, "cache_encoder_kv": True},
    "sdpa": {**PLAIN, "backend": "sdpa"},
    "fused context": {**PLAIN, "fused_context": True},
    "fused state": {**PLAIN, "fused_state": True},
    "preallocated": {**PLAIN, "preallocate": True},
    "optimised, step by step": {"step_loop": True},
    "optimised": {},
}


def decoder(**forms) -> AttentionDecoder:
    torch.manual_seed(0)
    return AttentionDecoder(X, H, Y, context_size=C, summary_size=Z, num_heads=3, **forms).double()


def case(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    shapes = ((B, T, X), (B, S, C), (B, Z))
    return tuple(torch.randn(*n, generator=generator, dtype=dtype).requires_grad_() for n in shapes)


def assert_equal(one, other, inputs) -> None:
    results = [model(*inputs) for model in (one, other)]
    gradients = [torch.autograd.grad(result.square().sum(), [t for t in inputs if t is not None]) for result in results]
    for a, b in zip((results[0], *gradients[0]), (results[1], *gradients[1]), strict=True):
        assert (a - b).abs().max() <= TOLERANCE


@pytest.mark.parametrize("input_feeding", [False, True], ids=["no feeding", "input feeding"])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("form", FORMS)
def test_every_form_equals_the_plain_one_in_results_and_gradients(form, cell, input_feeding) -> None:
    plain = decoder(cell=cell, input_feeding=input_feeding, **PLAIN)
    other = decoder(cell=cell, input_feeding=input_feeding, **FORMS[form])
    other.load_state_dict(plain.state_dict())
    assert_equal(plain, other, case())


@pytest.mark.parametrize("cell", CELLS)
def test_weights_go_into_another_form_and_come_back_unchanged(cell) -> None:
    plain, optimised, back = decoder(cell=cell, **PLAIN), decoder(cell=cell), decoder(cell=cell, **PLAIN)
    optimised.load_state_dict(plain.state_dict())
    for weight in back.parameters():
        torch.nn.init.zeros_(weight)
    back.load_state_dict(optimised.state_dict())
    for name, weight in plain.state_dict().items():
        assert torch.equal(back.state_dict()[name], weight), name


@pytest.mark.parametrize("input_feeding", [False, True], ids=["no feeding", "input feeding"])
def test_a_gru_decoder_computes_what_its_formula_says(input_feeding) -> None:
    """Step by step with plain arithmetic, one head and one sequence at a time, from the weights' own names."""
    model = decoder(cell="gru", input_feeding=input_feeding)
    w = model.state_dict()
    x, encoder, summary = (t.detach() for t in case())
    result = model(x, encoder, summary)
    for b in range(B):
        h = torch.tanh(w["initial_state.joint.weight"] @ summary[b] + w["initial_state.joint.bias"])
        joined = torch.zeros(H, dtype=torch.float64)
        keys, values = (encoder[b] @ w["attention.key_value.weight"].T).split(H, dim=-1)
        for t in range(T):
            given = torch.cat([x[b, t], joined]) if input_feeding else x[b, t]
            from_x = w["recurrence.rnn.weight_ih_l0"] @ given + w["recurrence.rnn.bias_ih_l0"]
            from_h = w["recurrence.rnn.weight_hh_l0"] @ h + w["recurrence.rnn.bias_hh_l0"]
            (xr, xz, xn), (hr, hz, hn) = from_x.split(H), from_h.split(H)
            reset, update = torch.sigmoid(xr + hr), torch.sigmoid(xz + hz)
            h = (1 - update) * torch.tanh(xn + reset * hn) + update * h
            query = w["attention.query.weight"] @ h
            context = []
            for n in range(0, H, 4):
                weights = torch.softmax(keys[:, n : n + 4] @ query[n : n + 4] / 4**0.5, dim=0)
                context.append(weights @ values[:, n : n + 4])
            pair = torch.cat([h, *context])
            joined = torch.tanh(w["context_layer.joint.weight"] @ pair + w["context_layer.joint.bias"])
            expected = w["output.weight"] @ joined + w["output.bias"]
            assert (result[b, t] - expected).abs().max() <= TOLERANCE


@pytest.mark.parametrize("fused_state", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_an_rnn_decoder_is_the_same_in_one_call_and_step_by_step(cell, fused_state) -> None:
    torch.manual_seed(0)
    one = RNNDecoder(X, H, Y, summary_size=Z, cell=cell).double()
    steps = RNNDecoder(X, H, Y, summary_size=Z, cell=cell, step_loop=True, fused_state=fused_state).double()
    steps.load_state_dict(one.state_dict())
    inputs, _, summary = case()
    assert_equal(one, steps, (inputs, None, summary))


@pytest.mark.parametrize(("forms", "projections"), [(PLAIN, T), ({"step_loop": True}, 1), ({}, 1)])
def test_encoder_keys_and_values_are_projected_once_or_at_each_step(forms, projections) -> None:
    model = decoder(**forms)
    count = []
    model.attention.key_value.register_forward_hook(lambda *_: count.append(1))
    model(*case())
    assert len(count) == projections


@pytest.mark.parametrize(
    ("forms", "queries"), [(PLAIN, T), ({"step_loop": True}, T), ({"input_feeding": True}, T), ({}, 1)]
)
def test_without_feeding_one_attention_serves_all_queries(forms, queries) -> None:
    model = decoder(**forms)
    count = []
    model.attention.query.register_forward_hook(lambda *_: count.append(1))
    model(*case())
    assert len(count) == queries


@pytest.mark.parametrize(("preallocate", "stacked"), [(False, 1), (True, 0)])
def test_preallocated_steps_are_not_stacked(preallocate, stacked, monkeypatch) -> None:
    count = []
    original = torch.stack
    monkeypatch.setattr(torch, "stack", lambda *a, **k: (count.append(1), original(*a, **k))[1])
    decoder(preallocate=preallocate, step_loop=True)(*case())
    assert len(count) == stacked


@pytest.mark.parametrize("forms", [PLAIN, {}, {"input_feeding": True}], ids=["plain", "optimised", "input feeding"])
def test_a_step_depends_on_its_own_and_earlier_inputs_and_on_every_encoder_state(forms) -> None:
    model = decoder(**forms)
    inputs, encoder, summary = case()
    result = model(inputs, encoder, summary)
    of_inputs, of_encoder, of_summary = torch.autograd.grad(result[0, 2].sum(), (inputs, encoder, summary))
    assert (of_inputs[0, 3:] == 0).all()
    assert (of_inputs[0, :3].abs().sum(dim=-1) > 0).all()
    assert (of_encoder[0].abs().sum(dim=-1) > 0).all()
    assert of_summary[0].abs().sum() > 0
    assert not any(gradient[1:].any() for gradient in (of_inputs, of_encoder, of_summary))


@pytest.mark.parametrize(
    ("cell", "input_feeding", "cached"), list(itertools.product(CELLS, [False, True], [False, True]))
)
def test_a_decoder_reads_nothing_back(cell, input_feeding, cached) -> None:
    """On the meta device every read of a value raises."""
    model = decoder(cell=cell, input_feeding=input_feeding, cache_encoder_kv=cached).to("meta")
    result = model(*(t.detach().to("meta") for t in case()))
    assert result.shape == (B, T, Y)


def test_wrong_sizes_are_named() -> None:
    model = decoder()
    inputs, encoder, summary = case()
    with pytest.raises(ShapeError, match=r"AttentionDecoder: inputs \[3, 5, 3\], wanted \[3, T, 4\]"):
        model(inputs[..., :3], encoder, summary)
    with pytest.raises(ShapeError, match=r"encoder \[2, 7, 6\], wanted \[3, S, 6\]"):
        model(inputs, encoder[:2], summary)
    with pytest.raises(ShapeError, match=r"encoder \[3, 0, 6\]"):
        model(inputs, encoder[:, :0], summary)
    with pytest.raises(ShapeError, match=r"summary \[3, 1, 5\], wanted \[3, 5\]"):
        model(inputs, encoder, summary[:, None])
    with pytest.raises(ShapeError, match=r"inputs \[3, 0, 4\]"):
        model(inputs[:, :0], encoder, summary)
    with pytest.raises(ShapeError, match=r"RNNDecoder: summary \[2, 5\], wanted \[3, 5\]"):
        RNNDecoder(X, H, Y, summary_size=Z)(inputs, None, summary[:2])


def test_mixed_dtypes_are_named() -> None:
    inputs, encoder, summary = case()
    with pytest.raises(ShapeError, match=r"encoder torch.float32.*wanted one dtype on one device"):
        decoder()(inputs, encoder.float(), summary)
    with pytest.raises(ShapeError, match=r"weights torch.float64.*inputs torch.float32"):
        decoder()(*case(torch.float32))


def test_what_cannot_be_built_is_named() -> None:
    with pytest.raises(ShapeError, match="hidden_size=10 over 4 heads"):
        AttentionDecoder(X, 10, Y)
    with pytest.raises(ShapeError, match="cell='rnn', wanted one of gru, lstm"):
        AttentionDecoder(X, H, Y, cell="rnn")  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="backend='quick', wanted one of naive"):
        AttentionDecoder(X, H, Y, backend="quick")  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="AttentionDecoder: sizes 0, 12"):
        AttentionDecoder(0, H, Y)
    with pytest.raises(ShapeError, match="cell='rnn'"):
        RNNDecoder(X, H, Y, cell="rnn")  # type: ignore[arg-type]


def test_weights_of_another_width_are_named() -> None:
    twice_as_wide = AttentionDecoder(X, 2 * H, Y, num_heads=3).state_dict()
    with pytest.raises(ShapeError, match=r"initial_state\.joint\.weight: met \[\[24, 24\]\], wanted 12 along axis 0"):
        AttentionDecoder(X, H, Y, num_heads=3, **PLAIN).load_state_dict(twice_as_wide)


@pytest.mark.parametrize("forms", [PLAIN, {}, {"input_feeding": True}], ids=["plain", "optimised", "input feeding"])
@pytest.mark.parametrize("cell", CELLS)
def test_autocast_changes_the_precision_alone(cell, forms) -> None:
    torch.manual_seed(0)
    model = AttentionDecoder(X, H, Y, context_size=C, summary_size=Z, num_heads=3, cell=cell, **forms)
    inputs = [t.detach() for t in case(torch.float32)]
    exact = model(*inputs)
    with torch.autocast("cpu", torch.bfloat16):
        result = model(*inputs)
        result.float().square().sum().backward()
    # Results of size one, behind T steps of a few roundings of 2^-9 each: a sixteenth is 32 of them, all one way.
    assert 0 < (result - exact).abs().max() <= 2**-4
    assert all(weight.grad.isfinite().all() for weight in model.parameters())
