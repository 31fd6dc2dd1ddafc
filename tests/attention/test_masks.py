"""Masks small enough to see, and the cache: its bound, its keys, and that nobody writes to what it hands out."""

import math

import pytest
import torch
from torch._subclasses import FakeTensorMode

from attention import CausalMaskCache, ShapeError, causal_mask, padding_mask, sliding_window_mask, strided_mask
from attention.masks import additive, mask_by_cache, shared_masks

CPU = torch.device("cpu")


def picture(mask: torch.Tensor) -> list[str]:
    return ["".join("x" if cell else "." for cell in row) for row in mask.tolist()]


def test_a_causal_mask_is_aligned_to_the_lower_right() -> None:
    assert picture(causal_mask(3)) == ["x..", "xx.", "xxx"]
    assert picture(causal_mask(2, 4)) == ["xxx.", "xxxx"]
    assert picture(causal_mask(4, 2)) == ["..", "..", "x.", "xx"]


def test_a_sliding_window_sees_itself_and_what_is_just_before() -> None:
    assert picture(sliding_window_mask(4, window=2)) == ["x...", "xx..", ".xx.", "..xx"]
    assert picture(sliding_window_mask(2, 4, window=2)) == [".xx.", "..xx"]


def test_a_window_as_long_as_the_keys_is_causal() -> None:
    assert torch.equal(sliding_window_mask(5, 7, window=7), causal_mask(5, 7))


def test_a_stride_goes_back_from_the_own_position() -> None:
    assert picture(strided_mask(4, stride=2)) == ["x...", ".x..", "x.x.", ".x.x"]
    assert picture(strided_mask(1, 4, stride=3)) == ["x..x"]


def test_padding_hides_the_keys_behind_the_end() -> None:
    mask = padding_mask(torch.tensor([1, 3]), 3)
    assert mask.shape == (2, 1, 1, 3)
    assert picture(mask[:, 0, 0]) == ["x..", "xxx"]


def test_an_additive_mask_adds_nothing_or_minus_infinity() -> None:
    assert additive(causal_mask(2), torch.float32).tolist() == [[0.0, -math.inf], [0.0, 0.0]]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: causal_mask(-1),
        lambda: sliding_window_mask(3, window=0),
        lambda: strided_mask(3, stride=0),
        lambda: padding_mask(torch.tensor([[1]]), 3),
        lambda: CausalMaskCache(max_entries=0),
    ],
)
def test_what_makes_no_mask_is_refused_with_its_value(wrong) -> None:
    with pytest.raises(ShapeError, match=r"-1|=0|\[1, 1\]"):
        wrong()


def test_the_cache_forgets_what_was_not_used_for_longest() -> None:
    cache = CausalMaskCache(max_entries=2)
    two = cache.get(2, 2, device=CPU, dtype=torch.float32)
    three = cache.get(3, 3, device=CPU, dtype=torch.float32)
    assert cache.get(2, 2, device=CPU, dtype=torch.float32) is two
    cache.get(4, 4, device=CPU, dtype=torch.float32)
    assert len(cache) == 2
    assert cache.get(2, 2, device=CPU, dtype=torch.float32) is two
    assert cache.get(3, 3, device=CPU, dtype=torch.float32) is not three


def test_a_write_to_a_cached_mask_is_noticed_and_does_not_stay() -> None:
    cache = CausalMaskCache()
    cache.get(3, 3, device=CPU, dtype=torch.float32).mul_(2)
    with pytest.raises(RuntimeError, match="modified in place"):
        cache.get(3, 3, device=CPU, dtype=torch.float32)
    assert torch.equal(cache.get(3, 3, device=CPU, dtype=torch.float32), additive(causal_mask(3), torch.float32))


def test_a_mask_first_asked_for_in_inference_mode_serves_training() -> None:
    cache = CausalMaskCache()
    with torch.inference_mode():
        cache.get(3, 3, device=CPU, dtype=torch.float32)
    x = torch.zeros(3, 3, requires_grad=True)
    torch.autograd.backward((x * cache.get(3, 3, device=CPU, dtype=torch.float32).exp()).sum())
    assert x.grad is not None
    assert torch.equal(x.grad, torch.ones(3, 3).tril())


def test_a_mask_without_numbers_is_not_kept() -> None:
    cache = CausalMaskCache()
    with FakeTensorMode():
        assert type(cache.get(3, 3, device=CPU, dtype=torch.float32)) is not torch.Tensor
    assert type(cache.get(3, 3, device=CPU, dtype=torch.float32)) is torch.Tensor


def test_clearing_forgets_everything() -> None:
    cache = CausalMaskCache()
    cache.get(3, 3, device=CPU, dtype=torch.bool)
    cache.clear()
    assert len(cache) == 0


def test_the_shared_cache_is_what_mask_by_cache_looks_into() -> None:
    assert mask_by_cache(3) is shared_masks.get(3, 3, device=CPU, dtype=torch.float32)
