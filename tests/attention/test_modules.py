"""Five forms of one head: the same parameters, the same result, and what each of them spares."""

import pytest
import torch
from torch import nn

from attention import CausalMaskCache, ShapeError, SingleHeadAttention
from attention.modules import FORMS


def heads(width: int = 16, head_width: int = 8) -> list[SingleHeadAttention]:
    torch.manual_seed(0)
    made = [SingleHeadAttention(width, head_width, form=form) for form in FORMS]
    for head in made:
        head.load_state_dict(made[0].state_dict())
    return made


def test_all_forms_give_the_same_result_and_gradients() -> None:
    made = heads()
    x = torch.randn(2, 11, 16, requires_grad=True)
    results = [head(x) for head in made]
    gradients = [torch.autograd.grad(result.square().sum(), x)[0] for result in results]
    for form, result, gradient in zip(FORMS, results, gradients, strict=True):
        assert torch.allclose(result, results[0], atol=1e-6), form
        assert torch.allclose(gradient, gradients[0], atol=1e-5), form


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("x", "met"),
    [
        (torch.zeros(5, 8), r"x \[5, 8\], wanted \[B, L, 8\]"),
        (torch.zeros(2, 5, 9), r"x \[2, 5, 9\]"),
        (torch.zeros(2, 5, 8).double(), "x torch.float64 on cpu, wanted torch.float32"),
        (torch.zeros(2, 5, 8).to("meta"), "x torch.float32 on meta"),
    ],
)
def test_what_it_cannot_take_is_named(form, x, met) -> None:
    with pytest.raises(ShapeError, match=met):
        SingleHeadAttention(8, form=form)(x)


@pytest.mark.parametrize(
    ("form", "masks"), [("plain", 0), ("stored_scale", 0), ("cached", 1), ("fused", 1), ("sdpa", 0)]
)
def test_only_the_cached_forms_keep_a_mask(form, masks) -> None:
    cache = CausalMaskCache()
    head = SingleHeadAttention(8, form=form, masks=cache)
    head(torch.zeros(1, 5, 8))
    head(torch.zeros(2, 5, 8))
    assert len(cache) == masks


@pytest.mark.parametrize(
    ("form", "built"), [("plain", 2), ("stored_scale", 0), ("cached", 0), ("fused", 0), ("sdpa", 0)]
)
def test_only_the_plain_form_builds_a_softmax_module_each_forward(form, built, monkeypatch) -> None:
    head = SingleHeadAttention(8, form=form)
    count = []
    original = nn.Softmax.__init__
    monkeypatch.setattr(nn.Softmax, "__init__", lambda self, dim: (count.append(dim), original(self, dim))[1])
    head(torch.zeros(1, 5, 8))
    head(torch.zeros(1, 5, 8))
    assert len(count) == built


def test_a_state_dict_fits_every_form() -> None:
    assert len({tuple(head.state_dict()) for head in heads()}) == 1


def test_a_wrong_width_or_form_is_named() -> None:
    with pytest.raises(ShapeError, match="embed_dim=8, head_dim=0"):
        SingleHeadAttention(8, 0)
    with pytest.raises(ShapeError, match="form='quick', wanted one of plain, "):
        SingleHeadAttention(8, form="quick")  # type: ignore[arg-type]
