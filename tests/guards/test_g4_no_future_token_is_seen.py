"""G4: a position's result depends on its own past and present, all of it, and on nothing later.

On the CPU equal inputs give equal bits. Elsewhere a kernel may split its work differently and the rounding of float32
is allowed; that a gradient to a later position is exactly zero holds everywhere.
"""

import pytest
import torch

GUARD = "G4"
KERNELS = ("naive", "masked", "sdpa")
MODULES = ("plain", "stored_scale", "cached", "fused", "sdpa")
MODELS = ("plain", "cached", "sdpa")
LENGTHS = ((1, 1), (2, 2), (17, 17), (256, 256), (1, 9), (5, 9), (9, 5), (130, 257))


def same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return torch.equal(one, other) if one.device.type == "cpu" else torch.allclose(one, other, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("L", "S"), LENGTHS)
@pytest.mark.parametrize("kernel", KERNELS)
def test_a_query_weighs_exactly_the_keys_up_to_its_own(kernel, L, S, device, build):
    attend = build("kernel", kernel)
    torch.manual_seed(0)
    q, k = torch.randn(1, 2, L, 16, device=device), torch.randn(1, 2, S, 16, device=device)
    # With the identity as values the result is the matrix of weights itself: every pair is looked at.
    weights = attend(q, k, torch.eye(S, device=device).expand(1, 2, S, S).contiguous(), is_causal=True).cpu()
    visible = torch.arange(S)[None, :] <= torch.arange(L)[:, None] + (S - L)
    assert (weights[..., ~visible] == 0).all(), "a later key has weight"
    assert (weights[..., visible] > 0).all(), "a key that should be seen has none"


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_gradient_of_a_result_stops_at_its_own_position(kernel, device, build):
    attend = build("kernel", kernel)
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, 3, 19, 16, device=device, requires_grad=True) for _ in range(3))
    result = attend(q, k, v, is_causal=True)
    for t in (0, 7, 18):
        for gradient in torch.autograd.grad(result[:, :, t].sum(), (k, v), retain_graph=True):
            assert (gradient[:, :, t + 1 :] == 0).all()
        assert gradient[:, :, : t + 1].abs().amin() > 0


@pytest.mark.parametrize("L", [2, 33])
@pytest.mark.parametrize("head", MODULES)
def test_a_changed_token_changes_no_earlier_result_of_a_head(head, L, device, build):
    torch.manual_seed(0)
    layer = build("head", head)(16, 16).requires_grad_(False).to(device)
    x = torch.randn(2, L, 16, device=device)
    before = layer(x)
    for t in range(L):
        changed = x.clone()
        changed[:, t] += 1.0
        after = layer(changed)
        assert same(after[:, :t], before[:, :t]), f"position {t} is seen from an earlier one"
        assert not torch.isclose(after[:, t:], before[:, t:]).all(dim=-1).any(), (
            f"position {t} is not seen from a later"
        )


@pytest.mark.parametrize("head", MODULES)
def test_a_head_weighs_exactly_the_positions_up_to_its_own(head, device, build):
    layer = build("head", head)(256, 256).requires_grad_(False)
    if not {"value.weight", "out.weight"} <= set(layer.state_dict()):
        pytest.skip("not applicable: this commit's head has other parameters")
    # Identities as input, value and output projection: the result is the matrix of weights, every pair is looked at.
    # The length is the one that the benchmark measures.
    layer.value.weight.copy_(torch.eye(256))
    layer.out.weight.copy_(torch.eye(256))
    weights = layer.to(device)(torch.eye(256, device=device)[None]).cpu()[0]
    assert (weights.triu(diagonal=1) == 0).all(), "a later position has weight"
    assert (weights > 0).equal(torch.ones(256, 256).tril().bool()), "a position that should be seen has none"


@pytest.mark.parametrize("head", MODULES)
def test_the_gradient_of_a_head_stops_at_its_own_position(head, device, build):
    torch.manual_seed(0)
    layer = build("head", head)(64, 64).to(device)
    x = torch.randn(1, 256, 64, device=device, requires_grad=True)  # the length that the benchmark measures
    result = layer(x)
    for t in (0, 1, 127, 128, 254, 255):
        (gradient,) = torch.autograd.grad(result[:, t].sum(), x, retain_graph=True)
        assert (gradient[:, t + 1 :] == 0).all()
        assert gradient[:, : t + 1].abs().sum(dim=-1).amin() > 0


@pytest.mark.parametrize("model", MODELS)
def test_a_changed_token_changes_no_earlier_logits_of_the_model(model, device, build):
    torch.manual_seed(0)
    network = build("model", model)(32, 16, 2, max_length=24).requires_grad_(False).to(device)
    tokens = torch.randint(32, (2, 24), device=device)
    before = network(tokens)
    for t in range(24):
        changed = tokens.clone()
        changed[:, t] = (changed[:, t] + 1) % 32
        after = network(changed)
        assert same(after[:, :t], before[:, :t]), f"token {t} is seen from an earlier one"
        assert not torch.equal(after[:, t], before[:, t])
