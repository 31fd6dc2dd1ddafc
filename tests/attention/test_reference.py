"""The oracle against numbers worked out by hand."""

import math

import pytest
import torch

from attention import ShapeError, attention_reference

ONE_HOT = torch.eye(3).reshape(1, 1, 3, 3)
ZERO = torch.zeros(1, 1, 3, 2)


def test_equal_scores_weigh_every_key_alike() -> None:
    weights = attention_reference(ZERO, ZERO, ONE_HOT)
    assert torch.allclose(weights, torch.full((1, 1, 3, 3), 1 / 3, dtype=torch.float64))


def test_causal_rows_see_one_then_two_then_three_keys() -> None:
    weights = attention_reference(ZERO, ZERO, ONE_HOT, is_causal=True)[0, 0]
    assert torch.allclose(weights, torch.tensor([[1, 0, 0], [1 / 2, 1 / 2, 0], [1 / 3] * 3], dtype=torch.float64))


def test_two_scores_by_hand() -> None:
    q, k = torch.tensor([[[[2.0]]]]), torch.tensor([[[[1.0], [0.0]]]])
    out = attention_reference(q, k, torch.tensor([[[[1.0], [0.0]]]]))
    assert out.item() == pytest.approx(math.exp(2) / (math.exp(2) + 1), abs=1e-15)


def test_fewer_queries_than_keys_are_the_last_ones() -> None:
    weights = attention_reference(ZERO[:, :, :1], ZERO, ONE_HOT, is_causal=True)
    assert torch.allclose(weights, torch.full((1, 1, 1, 3), 1 / 3, dtype=torch.float64))


def test_a_window_of_one_sees_itself_alone() -> None:
    assert torch.equal(attention_reference(ZERO, ZERO, ONE_HOT, is_causal=True, window=1), ONE_HOT.double())


def test_dropout_scales_the_weights_it_is_given() -> None:
    kept = torch.tensor([2.0, 0.0, 2.0])
    weights = attention_reference(ZERO, ZERO, ONE_HOT, dropout_mask=kept)
    assert torch.allclose(weights[0, 0, 0], torch.tensor([2 / 3, 0, 2 / 3], dtype=torch.float64))


def test_a_window_without_causality_is_refused() -> None:
    with pytest.raises(ShapeError, match="window=2"):
        attention_reference(ZERO, ZERO, ONE_HOT, window=2)
