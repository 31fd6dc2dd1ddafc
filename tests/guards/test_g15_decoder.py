"""G15: a decoder's forms agree in results and gradients, and attention remembers what a bottleneck cannot."""

import inspect
import math

import pytest
import torch
import torch.nn.functional as F

GUARD = "G15"
COVERS = r"(decoder\.\w+|quality\.\w+)\.\w+"
CELLS = ("gru", "lstm")
#: The bound that guards G15 sets, for values and gradients of size one in float32.
TOLERANCE = 1e-5
#: Batch, steps, encoder positions, width of all, heads: the second has nothing a power of two, the third one of each.
SIZES = ((4, 8, 16, 32, 4), (3, 7, 11, 30, 5), (1, 1, 1, 8, 1))
PLAIN = {
    "backend": "naive",
    "cache_encoder_kv": False,
    "fused_context": False,
    "fused_state": False,
    "preallocate": False,
}
#: What the plain form is held against: one switch at a time, then all of them, with and without the step loop.
FORMS = {
    "cached": {**PLAIN, "cache_encoder_kv": True, "step_loop": True},
    "sdpa": {**PLAIN, "backend": "sdpa"},
    "fused-context": {**PLAIN, "fused_context": True},
    "fused-state": {**PLAIN, "fused_state": True},
    "preallocated": {**PLAIN, "preallocate": True},
    "all-by-step": {"backend": "sdpa", "step_loop": True},
    "all": {"backend": "sdpa"},
}


@pytest.fixture
def decoder_of(member, device):
    """Build a decoder of the measured commit, all of one width, from one seed."""

    def make(width, heads, **forms):
        make_one = member("AttentionDecoder")
        missing = set(forms) - set(inspect.signature(make_one).parameters)
        if missing:
            pytest.skip(f"not applicable: this commit's decoder has no {', '.join(sorted(missing))}")
        torch.manual_seed(0)
        return make_one(width, width, width, num_heads=heads, **forms).to(device)

    return make


def case(B, T, S, width, device):
    torch.manual_seed(1)
    shapes = ((B, T, width), (B, S, width), (B, width))
    return [torch.randn(shape).to(device).requires_grad_() for shape in shapes]


def results(model, inputs):
    """The result, and the gradients of a mean over it with respect to every input, as one vector."""
    result = model(*inputs)
    gradients = torch.autograd.grad(result.square().sum() / result[..., 0].numel(), inputs)
    return torch.cat([t.flatten() for t in (result, *gradients)])


@pytest.mark.parametrize("input_feeding", [False, True], ids=["alone", "feeding"])
@pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("form", FORMS)
def test_every_form_equals_the_recomputing_one(form, cell, size, input_feeding, device, decoder_of, within):
    B, T, S, width, heads = size
    plain = decoder_of(width, heads, cell=cell, input_feeding=input_feeding, **PLAIN)
    other = decoder_of(width, heads, cell=cell, input_feeding=input_feeding, **FORMS[form])
    other.load_state_dict(plain.state_dict())
    inputs = case(B, T, S, width, device)
    within(results(other, inputs), results(plain, inputs), TOLERANCE)


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_of_the_weights_agree_too(cell, device, decoder_of, within):
    batched = decoder_of(32, 4, cell=cell)
    steps = decoder_of(32, 4, cell=cell, step_loop=True)
    steps.load_state_dict(batched.state_dict())
    inputs = case(4, 25, 50, 32, device)
    found = []
    for model in (batched, steps):
        result = model(*inputs)
        gradients = torch.autograd.grad(result.square().mean(), list(model.parameters()))
        found.append(torch.cat([gradient.flatten() for gradient in gradients]))
    within(found[1], found[0], TOLERANCE)


@pytest.mark.parametrize("cell", CELLS)
def test_the_baseline_is_the_same_in_one_call_and_step_by_step(cell, device, member, within):
    make = member("RNNDecoder")
    one, steps = (make(32, 32, 32, cell=cell, step_loop=loop).to(device) for loop in (False, True))
    steps.load_state_dict(one.state_dict())
    inputs, _, summary = case(4, 25, 50, 32, device)
    found = []
    for model in (one, steps):
        result = model(inputs, None, summary)
        gradients = torch.autograd.grad(result.square().sum() / result[..., 0].numel(), (inputs, summary))
        found.append(torch.cat([t.flatten() for t in (result, *gradients)]))
    within(found[1], found[0], TOLERANCE)


@pytest.mark.parametrize("form", ["all", "all-by-step", "plain", "feeding"])
@pytest.mark.parametrize("cell", CELLS)
def test_a_step_sees_the_past_of_its_own_sequence_and_all_of_the_encoder(cell, form, device, decoder_of):
    forms = {**FORMS, "plain": PLAIN, "feeding": {"input_feeding": True}}[form]
    model = decoder_of(24, 3, cell=cell, **forms)
    inputs, encoder, summary = case(3, 9, 13, 24, device)
    result = model(inputs, encoder, summary)
    for t in (0, 4, 8):
        found = torch.autograd.grad(result[1, t].sum(), (inputs, encoder, summary), retain_graph=True)
        of_inputs, of_encoder, of_summary = found
        assert (of_inputs[1, t + 1 :] == 0).all(), "a later input is seen"
        assert of_inputs[1, : t + 1].abs().sum(dim=-1).amin() > 0, "an earlier input is not seen"
        assert of_encoder[1].abs().sum(dim=-1).amin() > 0, "an encoder position is not seen"
        assert of_summary[1].abs().sum() > 0
        assert not any(gradient[[0, 2]].any() for gradient in found), "another sequence is seen"


@pytest.mark.parametrize("form", ["all", "plain"])
def test_the_order_of_the_encoder_states_does_not_matter(form, device, decoder_of, within):
    model = decoder_of(24, 3, **{**FORMS, "plain": PLAIN}[form])
    inputs, encoder, summary = (t.detach() for t in case(3, 9, 13, 24, device))
    order = torch.randperm(13, generator=torch.Generator().manual_seed(2)).to(device)
    within(model(inputs, encoder[:, order], summary), model(inputs, encoder, summary), TOLERANCE)


@pytest.mark.parametrize("cell", CELLS)
def test_the_scores_are_scaled_by_the_width_of_a_head(cell, device, decoder_of, within):
    """Two encoder states: the weight of the first is the logistic function of the scaled difference of scores."""
    model = decoder_of(24, 3, cell=cell)
    weights = model.state_dict()
    if not {"attention.query.weight", "attention.key_value.weight", "context_layer.joint.weight"} <= set(weights):
        pytest.skip("not applicable: this commit's decoder has other parameters")
    inputs, encoder, summary = (t.detach() for t in case(2, 5, 2, 24, device))
    seen = {}
    model.context_layer.register_forward_hook(lambda _m, args, _result: seen.update(hidden=args[0], context=args[1]))
    with torch.no_grad():
        model(inputs, encoder, summary)
        q = (seen["hidden"] @ weights["attention.query.weight"].T).unflatten(-1, (3, 8)).cpu().double()
        k, v = (encoder @ weights["attention.key_value.weight"].T).cpu().double().split(24, dim=-1)
        k, v = k.unflatten(-1, (3, 8)), v.unflatten(-1, (3, 8))
        difference = torch.einsum("btnd,bnd->btn", q, k[:, 0] - k[:, 1]) / math.sqrt(8)
        first = torch.sigmoid(difference)[..., None]
        expected = (first * v[:, None, 0] + (1 - first) * v[:, None, 1]).flatten(2)
    within(seen["context"], expected, TOLERANCE)


#: Sequences whose vectors are half common and half each one's own; what is common just fits through the bottleneck.
BATCH, LENGTH, FEATURES, HIDDEN, BOTTLENECK = 32, 8, 8, 32, 8
STEPS = 100
#: By how much attention must be better: seed 001 claims 0.15, the guard asks for two thirds of it.
BETTER = 0.10
#: What the baseline must reach for the comparison to say something: it knows what is common, which is worth 0.7.
LEARNED = 0.5


def recalled(model, device):
    """The cosine of what a model gives back with what it was given, after training, on sequences that are new to it."""
    generator = torch.Generator().manual_seed(0)

    def sequences():
        common, own = (torch.randn(BATCH, n, FEATURES, generator=generator) for n in (1, LENGTH))
        return ((common + own) / math.sqrt(2)).to(device)

    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(STEPS):
        x = sequences()
        optimizer.zero_grad()
        F.mse_loss(model(x), x).backward()
        optimizer.step()
    with torch.no_grad():
        return F.cosine_similarity(model(x := sequences()), x, dim=-1).mean().item()


def test_attention_recalls_what_a_bottleneck_cannot_hold(device, member, request):
    found = []
    for name in ("AttentionAutoencoder", "RNNAutoencoder"):
        make = member(name)
        torch.manual_seed(0)
        found.append(recalled(make(FEATURES, HIDDEN, BOTTLENECK, max_length=LENGTH).to(device), device))
    attending, recurrent = found
    # What attention misses may be what the bottleneck misses, less what attention must be better by.
    request.node.user_properties += [("error", 1 - attending), ("tolerance", 1 - recurrent - BETTER)]
    assert recurrent >= LEARNED
    assert attending >= recurrent + BETTER, f"cosine {attending:.3f} with attention, {recurrent:.3f} without"
