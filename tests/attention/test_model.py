"""The small model: shapes, equal forms, one cache for all layers."""

from functools import partial

import pytest
import torch

from attention import CausalMaskCache, ShapeError, SingleHeadAttention, TransformerLM, variants


def test_logits_have_one_row_a_token_and_one_column_a_word() -> None:
    assert TransformerLM(11, 8, 2, max_length=6)(torch.zeros(3, 5, dtype=torch.int64)).shape == (3, 5, 11)


def test_all_forms_give_the_same_logits() -> None:
    models = [variant.build(11, 8, 2, max_length=16) for variant in variants("train")]
    tokens = torch.randint(11, (2, 16), generator=torch.Generator().manual_seed(0))
    for model in models:
        model.load_state_dict(models[0].state_dict())
        assert torch.allclose(model(tokens), models[0](tokens), atol=1e-6)


def test_all_layers_share_one_mask() -> None:
    masks = CausalMaskCache()
    model = TransformerLM(11, 8, 3, max_length=6, attention=partial(SingleHeadAttention, masks=masks))
    model(torch.zeros(1, 6, dtype=torch.int64))
    assert len(masks) == 1


def test_a_sequence_beyond_the_longest_is_named() -> None:
    with pytest.raises(ShapeError, match=r"\[1, 7\].*L <= 6"):
        TransformerLM(11, 8, 1, max_length=6)(torch.zeros(1, 7, dtype=torch.int64))
    with pytest.raises(ShapeError, match=r"\[1, 2\] torch.float32.*whole numbers"):
        TransformerLM(11, 8, 1, max_length=6)(torch.zeros(1, 2))
