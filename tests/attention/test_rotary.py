"""Pairs of channels turned by their positions: four forms, one result; tables that stay exact in any model."""

import cmath

import pytest
import torch
from torch import Tensor, nn

from attention import RotaryEmbedding, ShapeError, apply_rotary_complex, apply_rotary_emb
from attention.rotary import ROTARY_FORMS

every_form = pytest.mark.parametrize("form", ROTARY_FORMS)
L, D = 7, 8
#: Where half-split pairing finds the channels that interleaved pairing has side by side.
HALVES = [0, 2, 4, 6, 1, 3, 5, 7]
#: Tables are rounded once to float32, on numbers of up to four.
TOLERANCE = 1e-6


def turned(form: str, x: Tensor, positions: int | Tensor = 0) -> Tensor:
    """The result in interleaved order, whatever the form's pairing."""
    rotary = RotaryEmbedding(x.shape[-1], max_length=50, form=form)
    if form != "half_split":
        return rotary(x, positions)
    out = rotary(x[..., HALVES], positions)
    return torch.empty_like(out).index_copy_(-1, torch.tensor(HALVES), out)


def some_x(dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(2, 3, L, D, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)


@every_form
def test_each_pair_is_a_complex_number_times_its_turn(form) -> None:
    x = some_x(torch.float64)
    out = turned(form, x, 40)
    assert out.dtype == torch.float64
    for position in (0, 6):
        for pair in (0, 3):
            a, b = x[1, 2, position, 2 * pair : 2 * pair + 2].tolist()
            wanted = complex(a, b) * cmath.exp(1j * (40 + position) * 10_000.0 ** (-2 * pair / D))
            found = complex(*out[1, 2, position, 2 * pair : 2 * pair + 2].tolist())
            assert abs(found - wanted) <= TOLERANCE


@every_form
def test_positions_are_an_offset_a_row_or_a_row_a_sequence(form) -> None:
    x = some_x()
    far = turned(form, x, 40)
    assert torch.equal(turned(form, x, torch.arange(40, 47)), far)
    rows = torch.stack((torch.arange(40, 47), torch.arange(3, 10)))
    both = turned(form, x, rows)
    assert torch.equal(both[0], far[0])
    assert torch.equal(both[1], turned(form, x, 3)[1])
    assert torch.equal(turned(form, x, rows.int()), both)
    assert torch.equal(turned(form, x[:, :, 2:], 42), far[:, :, 2:])


@every_form
def test_lengths_stay_and_scores_depend_on_distance_alone(form) -> None:
    q, k = some_x(), some_x().flip(0)
    assert torch.allclose(turned(form, q, 9).norm(dim=-1), q.norm(dim=-1), rtol=TOLERANCE)
    near, far = ((turned(form, q, at + 5) * turned(form, k, at)).sum(dim=-1) for at in (0, 30))
    assert (near - far).abs().max() <= D * TOLERANCE


@every_form
def test_gradients_turn_back(form) -> None:
    x = some_x(torch.float64).requires_grad_()
    (gradient,) = torch.autograd.grad(turned(form, x, 9).square().sum() / 2, x)
    # Half the squared length stays as it was, whose gradient is x itself.
    assert (gradient - x).abs().max() <= TOLERANCE


@every_form
def test_a_narrow_model_keeps_wide_tables(form) -> None:
    rotary = RotaryEmbedding(D, max_length=400, form=form)
    narrow = nn.Sequential(RotaryEmbedding(D, max_length=400, form=form)).to(torch.bfloat16).half().bfloat16()[0]
    assert narrow.turns.dtype == torch.complex64
    assert torch.equal(narrow.turns, rotary.turns)
    assert narrow.state_dict() == {}
    x = some_x(torch.bfloat16)
    out = narrow(x, 300)
    assert out.dtype == torch.bfloat16
    assert torch.equal(out, rotary(x.float(), 300).bfloat16())


@every_form
def test_a_model_without_values_gets_its_tables_with_its_memory(form) -> None:
    rotary = RotaryEmbedding(D, max_length=50, form=form)
    table, x = rotary.turns.clone(), some_x()
    wanted = rotary(x, 5)
    rotary.to("meta").to("meta")
    assert rotary(x.to("meta"), 5).is_meta
    assert torch.equal(rotary.to_empty(device="cpu").turns, table)
    assert torch.equal(rotary.to_empty(device="cpu")(x, 5), wanted)
    with torch.device("meta"):
        made = RotaryEmbedding(D, max_length=50, form=form)
    assert torch.equal(made.to_empty(device="cpu")(x, 5), wanted)


@every_form
def test_rows_may_lie_anywhere(form) -> None:
    x = some_x()
    odd = torch.zeros(2, 3, L, D + 1)[..., 1:].copy_(x)
    assert (odd.storage_offset() % 2, odd.stride(-2) % 2) == (1, 1)
    fused = torch.stack((x, x), dim=-2).flatten(-2)[..., D:]
    column = x.mT.contiguous().mT
    for lying in (odd, fused, column):
        assert (turned(form, lying, 4) - turned(form, x, 4)).abs().max() <= TOLERANCE
    assert turned(form, x[:, :, :0], 4).shape == (2, 3, 0, D)


@every_form
@pytest.mark.parametrize(
    ("x", "positions", "met"),
    [
        (torch.zeros(2, 3, 7, 10), 0, r"x \[2, 3, 7, 10\], wanted \[..., L, 8\]"),
        (torch.zeros(8), 0, r"x \[8\]"),
        (torch.zeros(2, 3, 7, 8), 44, "positions 44 to 51, wanted them within max_length=50"),
        (torch.zeros(2, 3, 7, 8), -1, "positions -1 to 6"),
        (torch.zeros(2, 3, 7, 8), torch.zeros(7), r"positions \[7\] torch.float32"),
        (torch.zeros(2, 3, 7, 8), torch.zeros(7).bool(), r"positions \[7\] torch.bool"),
        (torch.zeros(2, 3, 7, 8), torch.zeros(7, dtype=torch.uint8), r"positions \[7\] torch.uint8"),
        (torch.zeros(2, 3, 7, 8), torch.zeros((), dtype=torch.int64), r"positions \[\] torch.int64"),
        (torch.zeros(2, 3, 7, 8), torch.zeros(7, dtype=torch.int64, device="meta"), r"positions .* on meta"),
        (torch.zeros(2, 3, 7, 8), torch.zeros(6, dtype=torch.int64), r"x \[2, 3, 7, 8\], table \[6, 4\]"),
        (torch.zeros(2, 3, 7, 8), torch.zeros(3, 7, dtype=torch.int64), r"table \[3, 1, 7, 4\]"),
        (torch.zeros(2, 3, 7, 8).int(), 0, "x torch.int32"),
        (torch.zeros(2, 3, 7, 8, device="meta"), 0, "x torch.float32 on meta"),
    ],
)
def test_what_cannot_be_turned_is_refused(form, x, positions, met) -> None:
    with pytest.raises(ShapeError, match=met):
        RotaryEmbedding(8, max_length=50, form=form)(x, positions)


@pytest.mark.parametrize("form", ["stack", "half_split", "complex"])
@pytest.mark.parametrize("position", [-1, 50])
def test_positions_beyond_the_tables_are_refused_not_wrapped(form, position) -> None:
    with pytest.raises(ShapeError, match=f"positions .*{position}.* within max_length=50"):
        RotaryEmbedding(8, max_length=50, form=form)(torch.zeros(1, 1, 2, 8), torch.tensor([7, position]))


def test_functions_refuse_tables_of_the_other_kind() -> None:
    x, turns = torch.zeros(1, 1, 2, 8), torch.ones(2, 4, dtype=torch.complex64)
    with pytest.raises(ShapeError, match=r"torch.complex64.* wanted .* floating table"):
        apply_rotary_emb(x, turns, turns)
    with pytest.raises(ShapeError, match=r"torch.float32.* wanted .* complex table"):
        apply_rotary_complex(x, turns.real)
    with pytest.raises(ShapeError, match="dim=7, wanted an even number"):
        RotaryEmbedding(7)
    with pytest.raises(ShapeError, match="form='spiral'"):
        RotaryEmbedding(8, form="spiral")
