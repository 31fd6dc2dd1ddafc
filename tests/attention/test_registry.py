"""Names, capabilities, reasons instead of silence; and guards for every variant and benchmark."""

import re
import runpy
from pathlib import Path
from typing import get_args

import pytest
import torch

import attention
from attention import Case, ShapeError, Unsupported, Variant, register, unsupported, variants
from attention.registry import DEVICES, Kind

ROOT = Path(__file__).parents[2]
KINDS = get_args(Kind)
GUARDED = runpy.run_path(str(ROOT / "tests" / "guards" / "conftest.py"))["KINDS"]
#: Judged by guards G11, G15 and G16, which take the public names and switch their forms themselves.
BY_NAME = {"paged_decode", "decoder", "int8"}
#: What a benchmark builds, and the guards' parameter that judges it.
BENCHMARKED = {
    "head": "head",
    "kernel": "kernel",
    "backward": "kernel",
    "decode": "kernel",
    "local": "local",
    "strided": "strided",
    "projection": "projection",
    "rotary": "rotary",
    "cache": "kv_cache",
    "mask": "mask",
    "train": "model",
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_variant_has_a_baseline_of_its_kind(kind) -> None:
    names = {variant.name for variant in variants(kind)}
    assert names
    assert {variant.baseline for variant in variants(kind)} <= names


def test_every_kind_has_guards() -> None:
    assert set(KINDS) - BY_NAME == {kind.name for kind in GUARDED.values()}


@pytest.mark.parametrize("parameter", GUARDED)
def test_the_guards_take_every_variant(parameter) -> None:
    kind = GUARDED[parameter]
    wanted = variants(kind.name)
    if parameter == "sharing":
        wanted = tuple(variant for variant in wanted if variant.gqa)
    assert kind.variants == tuple(variant.name for variant in wanted)


def test_the_guards_of_a_variant_cover_its_benchmarks() -> None:
    suites = (path.read_text() for path in (ROOT / "benchmarks").glob("*.py"))
    found = [case for suite in suites for case in re.findall(r'case\(\s*"(\w+\.\w+\.\w+)", "(\w+)"', suite)]
    assert {built for _, built in found} >= set(BENCHMARKED)
    for name, built in found:
        if built in BENCHMARKED:
            kind = GUARDED[BENCHMARKED[built]]
            assert re.search(rf"{kind.benchmarks}\('x'.*", f"{name}('x', 'input')"), name


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


@pytest.mark.parametrize("kernel", variants("attention"), ids=lambda kernel: kernel.name)
def test_a_kernel_takes_shared_key_heads_if_it_says_so(kernel) -> None:
    q, k = torch.zeros(1, 4, 3, 8), torch.zeros(1, 2, 3, 8)
    if kernel.gqa:
        assert kernel.build(q, k, k).shape == q.shape
    else:
        with pytest.raises(ShapeError, match=r"q \[1, 4, 3, 8\], k \[1, 2, 3, 8\]"):
            kernel.build(q, k, k)


def test_unsupported_carries_its_reasons_and_is_not_implemented() -> None:
    error = Unsupported("no gqa", "no mask")
    assert isinstance(error, NotImplementedError)
    assert error.reasons == ("no gqa", "no mask")
    assert str(error) == "no gqa; no mask"


def test_every_public_name_exists() -> None:
    assert all(hasattr(attention, name) for name in attention.__all__)
    assert len(set(attention.__all__)) == len(attention.__all__)
