"""Names, capabilities, and reasons instead of silence."""

import pytest
import torch

import attention
from attention import Case, ShapeError, Unsupported, Variant, register, unsupported, variants
from attention.registry import DEVICES

KINDS = ("attention", "module", "mask", "train")


@pytest.mark.parametrize("kind", KINDS)
def test_every_variant_has_a_baseline_of_its_kind(kind) -> None:
    names = {variant.name for variant in variants(kind)}
    assert names
    assert {variant.baseline for variant in variants(kind)} <= names


def test_a_name_is_taken_once() -> None:
    with pytest.raises(ShapeError, match="attention 'naive' is already registered"):
        register(Variant("naive", "attention", lambda: None, baseline="naive"))


def test_variants_are_chosen_by_device_and_dtype() -> None:
    assert all(variants("attention", device=device) for device in DEVICES)
    assert variants("attention", device="abacus") == ()
    assert variants("attention", dtype=torch.int8) == ()


def test_a_supported_case_has_no_reasons() -> None:
    everything = Case(backward=True, causal=True, mask=True, dropout=True, value_dim=True)
    assert all(unsupported(variant, everything) == [] for variant in variants("attention"))


def test_each_thing_a_variant_cannot_do_is_a_reason() -> None:
    naive = variants("attention")[0]
    reasons = unsupported(naive, Case(device="abacus", dtype=torch.int8, gqa=True))
    assert reasons == ["naive does not run on abacus", "naive does not take torch.int8", "naive has no gqa"]
    assert unsupported(naive, Case(device="mps", dtype=torch.float64)) == ["mps has no float64"]


def test_unsupported_carries_its_reasons_and_is_not_implemented() -> None:
    error = Unsupported("no gqa", "no mask")
    assert isinstance(error, NotImplementedError)
    assert error.reasons == ("no gqa", "no mask")
    assert str(error) == "no gqa; no mask"


def test_every_public_name_exists() -> None:
    assert all(hasattr(attention, name) for name in attention.__all__)
    assert sorted(attention.__all__) == attention.__all__
