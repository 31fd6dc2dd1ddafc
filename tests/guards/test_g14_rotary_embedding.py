"""G14: positions turn pairs of channels by the angles of the formula, so that a score knows their distance alone."""

import pytest
import torch

GUARD = "G14"
WIDTH, LONGEST = 16, 512
#: Of a number of size one: tables are float32, also beside float64.
TOLERANCE = 1e-6


def turned(x: torch.Tensor, positions: torch.Tensor, *, half_split: bool) -> torch.Tensor:
    """The formula in float64: channel pair p at position m is turned by m / 10000^(2p / D)."""
    x = x.double().cpu()
    first, second = x.chunk(2, dim=-1) if half_split else (x[..., 0::2], x[..., 1::2])
    angles = positions.double()[..., None] / 10_000.0 ** (torch.arange(0, WIDTH, 2).double() / WIDTH)
    pairs = first * angles.cos() - second * angles.sin(), first * angles.sin() + second * angles.cos()
    return torch.cat(pairs, dim=-1) if half_split else torch.stack(pairs, dim=-1).flatten(-2)


@pytest.fixture
def unit(draw):
    """Vectors of length one, in float32."""
    return lambda *shape: torch.nn.functional.normalize(*draw((*shape, WIDTH)), dim=-1)


@pytest.fixture
def make(device, build):
    return lambda name: build("rotary", name)(WIDTH, max_length=LONGEST).to(device)


@pytest.mark.parametrize("form", ["offset", "each", "by-sequence"])
def test_a_turn_is_that_of_the_formula(rotary, form, dtype, device, draw, make, within):
    (x,) = draw((2, 3, 9, WIDTH), dtype=dtype)
    where = {
        "offset": torch.arange(500, 509),
        "each": torch.tensor([0, 1, 2, 300, 301, 5, 5, 511, 100]),
        "by-sequence": torch.stack((torch.arange(9), torch.arange(299, 308))),
    }[form]
    # The module goes along into the model's dtype; bfloat16 could not tell positions 300 and 301 apart.
    result = make(rotary).to(getattr(torch, dtype))(x, 500 if form == "offset" else where.to(device))
    assert result.dtype == x.dtype
    expected = turned(x, where[:, None] if form == "by-sequence" else where, half_split=rotary == "half_split")
    within(result, expected, (TOLERANCE + torch.finfo(x.dtype).eps) * expected.abs().max().item())


def test_the_length_of_a_vector_stays(rotary, unit, make, within):
    x = unit(2, 3, LONGEST)
    within(make(rotary)(x).norm(dim=-1), x.norm(dim=-1), TOLERANCE)


def test_a_score_depends_on_the_distance_alone(rotary, unit, make, within):
    turn, q, k = make(rotary), unit(1, 1, 1), unit(1, 1, 1).flip(-1)
    for distance in (0, 1, 7, 200):
        scores = [(turn(q, at + distance) * turn(k, at)).sum(dim=-1) for at in (0, 1, 64, 311)]
        within(torch.cat(scores), scores[0].expand(4, -1, -1), 1e-5)


def test_an_offset_is_a_part_of_the_whole(rotary, unit, make, within):
    turn, x = make(rotary), unit(2, 3, 40)
    whole = turn(x)
    for first in (1, 13, 39):
        within(turn(x[:, :, first:], first), whole[:, :, first:], TOLERANCE)


def test_forms_differ_by_the_order_of_channels_alone(rotary, unit, make, within):
    """Half-split pairs channel p with p + D/2, the others 2p with 2p + 1."""
    x = unit(2, 3, 40)
    order = torch.arange(WIDTH).view(-1, 2).T.flatten()
    interleaved = make("stack")(x)
    result = make(rotary)(x[..., order] if rotary == "half_split" else x)
    within(result, interleaved[..., order] if rotary == "half_split" else interleaved, TOLERANCE)


def test_a_view_that_steps_over_odd_numbers_is_turned_as_its_copy(rotary, draw, make):
    (wide,) = draw((2, 9, 3, WIDTH + 1))
    x = wide[..., 1:].transpose(1, 2)
    assert torch.equal(make(rotary)(x), make(rotary)(x.contiguous()))
