"""Windows and strides: blocks, regrouped positions and masks give the oracle's numbers at any length."""

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from attention import ShapeError, attention_reference, strided_attention, strided_mask, variants
from benchmarks.observe import operators

FORMS = [(variant, "window") for variant in variants("local")] + [
    (variant, "stride") for variant in variants("strided")
]
every_form = pytest.mark.parametrize(
    ("attend", "name"), [(v.build, name) for v, name in FORMS], ids=[f"{v.kind}-{v.name}" for v, _ in FORMS]
)
#: In float64, on numbers of about one: several hundred roundings of 2e-16.
TOLERANCE = 1e-13


def qkv(L: int, kv_heads: int = 2, Dv: int = 8) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(7)
    sizes = (4, L, 8), (kv_heads, L, 8), (kv_heads, L, Dv)
    q, k, v = (torch.randn(2, *size, dtype=torch.float64, requires_grad=True) for size in sizes)
    return q, k, v


def exact(name: str, given: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    group = q.shape[1] // k.shape[1]
    k, v = (t.repeat_interleave(group, dim=1) for t in (k, v))
    if name == "window":
        return attention_reference(q, k, v, is_causal=True, window=given, scale=0.4)
    mask = strided_mask(q.shape[2], stride=given)
    return attention_reference(q, k, v, attn_mask=mask, scale=0.4)


@every_form
@pytest.mark.parametrize("given", [1, 4, 12, 50])
@pytest.mark.parametrize("L", [1, 4, 8, 11, 13])
def test_each_form_equals_the_oracle(attend, name, L, given) -> None:
    for kv_heads, Dv in ((4, 8), (2, 8), (1, 5)):
        inputs = qkv(L, kv_heads, Dv)
        results = attend(*inputs, **{name: given}, scale=0.4), exact(name, given, *inputs)
        assert results[0].shape == results[1].shape
        assert (results[0] - results[1]).abs().max() <= TOLERANCE
        gradients = (torch.autograd.grad(out.square().sum(), inputs) for out in results)
        assert all((mine - true).abs().max() <= TOLERANCE for mine, true in zip(*gradients, strict=True))


@every_form
def test_projected_heads_are_taken_as_they_lie(attend, name) -> None:
    q, k, v = (t.detach() for t in qkv(13))
    lying = [t.transpose(1, 2).contiguous().transpose(1, 2) for t in (q, k, v)]
    assert torch.allclose(attend(*lying, **{name: 4}), attend(q, k, v, **{name: 4}), rtol=0, atol=TOLERANCE)


@every_form
@pytest.mark.parametrize(("B", "L"), [(2, 0), (0, 9)])
def test_an_empty_axis_gives_nothing(attend, name, B, L) -> None:
    t = torch.zeros(B, 2, L, 8)
    assert attend(t, t, t, **{name: 4}).shape == (B, 2, L, 8)


def test_a_stride_beyond_the_end_takes_no_room() -> None:
    q, k, v = qkv(5)
    assert torch.equal(strided_attention(q, k, v, stride=10**12), v.repeat_interleave(2, dim=1))


class Largest(TorchDispatchMode):
    """How many numbers the largest result had."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        self.numbers = max(self.numbers, *(t.numel() for t in (out if isinstance(out, tuple) else (out,))))
        return out


@every_form
def test_only_the_masked_form_has_a_cell_for_each_pair_of_positions(attend, name) -> None:
    q, k, v = (torch.zeros(1, 1, 256, 8) for _ in range(3))
    with Largest() as largest:
        attend(q, k, v, **{name: 16})
    assert (largest.numbers >= 256**2) == attend.__name__.startswith("masked")


@every_form
def test_each_form_is_fused(attend, name) -> None:
    q, k, v = (t.detach() for t in qkv(13))
    assert operators(lambda: attend(q, k, v, **{name: 4})).backend == "flash"


@every_form
def test_what_has_no_window_or_stride_is_refused(attend, name) -> None:
    q, k, v = qkv(5)
    with pytest.raises(ShapeError, match=f"{name}=0, wanted >= 1"):
        attend(q, k, v, **{name: 0})
    with pytest.raises(ShapeError, match="L=5, S=4, wanted L == S"):
        attend(q, k[:, :, :4], v[:, :, :4], **{name: 2})
    with pytest.raises(ShapeError, match=r"k \[2, 3, 5, 8\]"):
        attend(q, torch.zeros(2, 3, 5, 8).double(), torch.zeros(2, 3, 5, 8).double(), **{name: 2})
