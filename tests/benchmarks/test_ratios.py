"""Ratios inside one process: every variant beside its baseline, whose ratio is one."""

from pathlib import Path

import pytest
import torch

from benchmarks import ratios
from benchmarks.turns import ResultsDiffer
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


def test_what_no_registry_has_is_compared_too() -> None:
    (padded, paged) = ratios.ratios("mixed", "b8_s64x7_s4096_hq8_hkv2_d64", rounds=3)
    assert (padded.variant, padded.speedup, paged.variant) == ("padded", 1.0, "paged")


def test_what_is_not_for_this_device_is_left_out() -> None:
    assert ratios._baselines("paged_decode") == {"gathered": "gathered"}


def test_a_series_is_time_over_the_baselines_so_that_less_is_better(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = {"plain": 4.0, "cached": 3.0}
    monkeypatch.setattr(ratios, "in_turns", lambda bodies, rounds: {name: [seconds[name]] for name in bodies})
    assert ratios.Forward().track_ratio("cached", "b4_t256_c64") == {"samples": [0.75] * 5, "number": 1}


def test_a_wrong_variant_has_no_ratio(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    facts = tmp_path / "facts.jsonl"
    monkeypatch.setenv("PERFSVC_FACTS", str(facts))
    monkeypatch.setattr(ratios, "seeded", lambda kind, variant, name: lambda: torch.ones(1))
    with pytest.raises(ResultsDiffer, match="sdpa differs from plain"):
        ratios.Forward().track_ratio("sdpa", "b4_t256_c64")
    assert "ResultsDiffer: sdpa differs from plain" in facts.read_text()
