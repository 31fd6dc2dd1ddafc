"""Claims: what is compared is the same thing, is timed in turns, and stands beside what was wanted of it."""

import math
from collections.abc import Callable

import pytest
import torch

from benchmarks import best, claims, ratios, turns
from benchmarks.claims import Claim
from benchmarks.turns import ResultsDiffer


def nothing_measured() -> float:
    return math.nan


def seconds_of(times: dict[object, float]) -> Callable[[object], float]:
    """A clock that knows how long each body takes."""
    return lambda body: times[body]


def test_the_table_has_the_target_beside_what_was_found() -> None:
    rows = claims.table(
        [
            (Claim("rows over copies", nothing_measured, 5.0), 6.66),
            (Claim("a look-up", nothing_measured, 2.0, "us", at_most=True), 2.5),
            (Claim("a variant of tomorrow", nothing_measured, 1.5), "this commit has none"),
        ]
    ).splitlines()
    assert rows[2:] == [
        "| rows over copies | at least 5 x | 6.66 x |  |",
        "| a look-up | at most 2 us | 2.50 us | not reached |",
        "| a variant of tomorrow | at least 1.5 x | | left out: this commit has none |",
    ]


def test_what_every_claim_compares_is_there_and_agrees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(best, "seconds", lambda body: 1.0)  # bodies are run once, by the comparison, and not timed
    found = {claim.sentence: claim.measure() for claim in claims.claims()}
    assert len(found) == len(list(claims.claims()))
    assert set(found.values()) >= {1.0}
    assert all(math.isfinite(value) for value in found.values())


def test_faster_is_the_others_time_over_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.ones(3)
    quick, slow = (lambda: x), (lambda: x + 0)
    monkeypatch.setattr(best, "seconds", seconds_of({quick: 0.5, slow: 2.0}))
    assert turns.faster(quick, slow) == 4.0


def test_bodies_take_turns_forwards_and_backwards(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def first() -> None: ...

    def second() -> None: ...

    monkeypatch.setattr(best, "seconds", lambda body: asked.append(body.__name__) or 1.0)
    assert turns.in_turns({"1": first, "2": second}, rounds=3) == {"1": [1.0] * 3, "2": [1.0] * 3}
    assert asked == ["first", "second", "second", "first", "first", "second"]


def test_what_differs_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(best, "seconds", lambda body: pytest.fail("timed"))
    x = torch.randn(4, 4)
    with pytest.raises(ResultsDiffer, match="the other differs from the one"):
        turns.faster(lambda: x, lambda: x + 1e-4)
    with pytest.raises(ResultsDiffer, match="no tensor to compare"):
        turns.faster(lambda: None, lambda: None)
    with pytest.raises(ResultsDiffer):
        turns.faster(lambda: (x, x), lambda: (x,))


def test_a_wrong_variant_is_told_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(turns.BUILDERS, "kernel", lambda variant, name: lambda: torch.tensor(variant == "masked"))
    with pytest.raises(ResultsDiffer, match="masked differs from naive"):
        list(ratios.ratios("kernel", "b1_h8_t64_d64"))


def test_a_baseline_that_cannot_do_it_gives_way() -> None:
    assert ratios._baselines("kernel")["sdpa"] == "naive"
    assert ratios._baselines("decode") == {
        "sdpa": "repeated_kv",
        "repeated_kv": "repeated_kv",
        "grouped": "repeated_kv",
    }


def test_settings_say_where_they_are_not_asvs(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("OMP_NUM_THREADS", "1"),
        ("PYTHONHASHSEED", "0"),
        ("MALLOC_MMAP_MAX_", "0"),
        ("MALLOC_TRIM_THRESHOLD_", "1073741824"),
    ):
        monkeypatch.setenv(name, value)
    assert "MALLOC_MMAP_MAX_=0" in turns.settings()
    assert "Not asv's environment" not in turns.settings()
    monkeypatch.delenv("MALLOC_MMAP_MAX_")
    assert "env OMP_NUM_THREADS=1" in turns.settings()
