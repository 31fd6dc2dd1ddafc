"""G1: every forward is as close to float64 as plain torch in its dtype, within a factor of two."""

import pytest
import torch

GUARD = "G1"
KERNELS = ("naive", "masked", "sdpa")
MODULES = ("plain", "stored_scale", "cached", "fused", "sdpa")
#: B, H, L, S, D: the benchmark's own, one step of a cache, queries fewer and more than keys, nothing a power of two.
SHAPES = ((1, 8, 256, 256, 64), (2, 3, 1, 37, 16), (2, 3, 13, 37, 24), (1, 2, 37, 13, 8), (3, 5, 65, 65, 48))


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))
@pytest.mark.parametrize("is_causal", [False, True], ids=["full", "causal"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_a_kernel_equals_the_oracle(kernel, is_causal, shape, dtype, device, build, within, oracle, floor):
    attend = build("kernel", kernel)
    B, H, L, S, D = shape
    torch.manual_seed(L * S)
    q, k, v = (torch.randn(B, H, n, D).to(getattr(torch, dtype)) for n in (L, S, S))
    on_device = [t.to(device) for t in (q, k, v)]
    result = attend(*on_device, is_causal=is_causal)
    assert result.dtype == q.dtype
    assert result.shape == q.shape
    reference = oracle(q.double(), k.double(), v.double(), is_causal=is_causal)
    within(result, reference, floor(*on_device, is_causal=is_causal))


@pytest.mark.parametrize("scale", [0.5, 1.0])
@pytest.mark.parametrize("kernel", KERNELS)
def test_a_given_scale_replaces_the_stored_one(kernel, scale, device, build, within, oracle, floor):
    attend = build("kernel", kernel)
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 2, 3, 21, 16).unbind()
    # The oracle divides by sqrt(16): queries four times as long, times the scale, ask it the same.
    asked = [t.to(device) for t in (q * (4.0 * scale), k, v)]
    result = attend(*(t.to(device) for t in (q, k, v)), scale=scale)
    within(result, oracle(*(t.cpu().double() for t in asked), is_causal=False), floor(*asked, is_causal=False))


@pytest.mark.parametrize("size", [(4, 256, 64, 64), (2, 19, 24, 10)], ids=["4x256x64", "2x19x24-head-10"])
@pytest.mark.parametrize("head", MODULES)
def test_a_head_equals_the_oracle_between_its_projections(head, size, dtype, device, build, within, oracle, floor):
    make = build("head", head)
    B, L, width, head_width = size
    torch.manual_seed(L)
    layer = make(width, head_width).to(getattr(torch, dtype)).requires_grad_(False)
    weights = layer.state_dict()
    if set(weights) != {"query.weight", "key.weight", "value.weight", "out.weight"}:
        pytest.skip("not applicable: this commit's head has other parameters")
    # An identity at the end, as far as it goes, leaves attention itself to be judged.
    layer.out.weight.copy_(torch.eye(width, head_width))
    x = torch.randn(B, L, width).to(getattr(torch, dtype))
    layer, on_device = layer.to(device), x.to(device)
    q, k, v = (on_device.matmul(weights[f"{name}.weight"].to(device).T) for name in ("query", "key", "value"))
    q, k, v = (t.unsqueeze(1) for t in (q, k, v))
    result = layer(on_device)[..., :head_width]
    reference = oracle(*(t.cpu().double() for t in (q, k, v)), is_causal=True).squeeze(1)
    within(result, reference, floor(q, k, v, is_causal=True))
