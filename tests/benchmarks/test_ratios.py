"""Ratios inside one process: every variant beside its baseline, whose ratio is one."""

import pytest

from benchmarks import ratios
from benchmarks.workloads import MODULE_VARIANTS


def test_every_variant_is_compared_and_the_baseline_with_itself() -> None:
    found = {ratio.variant: ratio for ratio in ratios.ratios("head", "b4_t64_c64", rounds=3)}
    assert tuple(found) == MODULE_VARIANTS
    assert (found["plain"].low, found["plain"].speedup, found["plain"].high) == (1.0, 1.0, 1.0)
    assert all(ratio.low <= ratio.high for ratio in found.values())
    assert all(ratio.seconds > 0 for ratio in found.values())


def test_a_call_without_an_input_says_how(capsys: pytest.CaptureFixture[str]) -> None:
    assert ratios.main(["head"]) == 2
    assert "usage: python -m benchmarks.ratios" in capsys.readouterr().out
