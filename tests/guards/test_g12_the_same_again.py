"""G12: the same call gives the same bits, alone or in a batch, before and after saving, whatever form was saved."""

import io
from functools import partial

import pytest
import torch

GUARD = "G12"


@pytest.fixture(autouse=True)
def deterministic(device, monkeypatch):
    """CUDA is asked for it, and may then be slower."""
    if device != "cuda":
        yield
        return
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def forward_and_backward(form, inputs):
    leaves = [t.detach().requires_grad_() for t in inputs]
    result = form(*leaves)
    return [result, *torch.autograd.grad(result, leaves, torch.ones_like(result))]


def assert_same_again(form, inputs) -> None:
    first, second = (forward_and_backward(form, inputs) for _ in range(2))
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


@pytest.fixture
def assert_batch_does_not_matter(device):
    """On the CPU a sequence's bits do not depend on its neighbours; elsewhere another batch may be another kernel."""

    def judge(form, inputs) -> None:
        alone = torch.cat([form(*(t[i : i + 1] for t in inputs)) for i in range(len(inputs[0]))])
        torch.testing.assert_close(alone, form(*inputs), rtol=0, atol=0 if device == "cpu" else 1e-5)

    return judge


def test_a_kernel(kernel, draw, build, assert_batch_does_not_matter):
    attend, inputs = partial(build("kernel", kernel), is_causal=True), draw(*[(3, 4, 150, 16)] * 3)
    assert_same_again(attend, inputs)
    assert_batch_does_not_matter(attend, inputs)


@pytest.mark.parametrize("L", [1, 33])
def test_shared_key_heads(sharing, L, draw, build, assert_batch_does_not_matter):
    attend, inputs = build("sharing", sharing), draw((3, 6, L, 16), (3, 2, 150, 16), (3, 2, 150, 16))
    assert_same_again(attend, inputs)
    assert_batch_does_not_matter(attend, inputs)


def test_a_local_kernel(local, draw, sparse, assert_batch_does_not_matter):
    (attend, _), inputs = sparse("local", local, 150, 16), draw((3, 6, 150, 16), (3, 3, 150, 16), (3, 3, 150, 16))
    assert_same_again(attend, inputs)
    assert_batch_does_not_matter(attend, inputs)


def test_a_strided_kernel(strided, draw, sparse, assert_batch_does_not_matter):
    (attend, _), inputs = sparse("strided", strided, 150, 8), draw((3, 6, 150, 16), (3, 3, 150, 16), (3, 3, 150, 16))
    assert_same_again(attend, inputs)
    assert_batch_does_not_matter(attend, inputs)


def saved_and_loaded(made, into):
    file = io.BytesIO()
    torch.save(made.state_dict(), file)
    file.seek(0)
    into.load_state_dict(torch.load(file, weights_only=True))
    return into


def test_a_head_and_its_saved_copy(head, device, draw, build):
    make = partial(build("head", head), 24, 16)
    layer = make().to(device)
    inputs = draw((3, 70, 24))
    assert_same_again(layer, inputs)
    copy = saved_and_loaded(layer, make().to(device))
    assert torch.equal(copy(*inputs), layer(*inputs))


def test_a_projection_and_its_saved_copy(projection, device, draw, build):
    make = partial(build("projection", projection), 48, 6, num_kv_heads=2)
    layer = make().to(device)
    inputs = draw((3, 70, 48))
    assert_same_again(layer, inputs)
    copy = saved_and_loaded(layer, make().to(device))
    assert torch.equal(copy(*inputs), layer(*inputs))


def test_a_model_and_its_saved_copy(model, device, build):
    make = partial(build("model", model), 32, 16, 2, max_length=24)
    network = make().to(device)
    tokens = torch.randint(32, (3, 24)).to(device)
    copy = saved_and_loaded(network, make().to(device))
    assert torch.equal(network(tokens), network(tokens))
    assert torch.equal(copy(tokens), network(tokens))


@pytest.mark.parametrize("key_dim", [8, 5])
def test_weights_of_one_form_are_those_of_another(projection, key_dim, device, draw, build, within, allowed):
    """Whatever form is saved, the separate and the fused one that load it agree, each within its own rounding."""
    sizes = {"num_kv_heads": 2, "key_dim": key_dim, "value_dim": 8}
    saved = build("projection", projection)(48, 6, **sizes).state_dict()
    (x,) = draw((2, 19, 48))
    results = {}
    for name in ("separate", "fused"):
        layer = build("projection", name)(48, 6, **sizes)
        layer.load_state_dict(saved)
        exact = layer.double()(x.cpu().double()).detach()
        results[name] = layer.float().to(device)(x), exact
    (separate, exact), (fused, exact_fused) = results["separate"], results["fused"]
    within(exact_fused, exact, 1e-12)
    within(fused, exact, allowed(separate, exact))
