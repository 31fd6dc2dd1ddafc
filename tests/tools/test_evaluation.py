"""The harness measures what it says it does: on data small enough to see."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from perfsvc.stats import Floats
from tools.evaluation import data, pictures, rules, scores
from tools.evaluation.data import Stretch
from tools.evaluation.rules import OURS, Rule
from tools.evaluation.table import Goal, Table

ROOT = Path(__file__).parents[2]
SEER = Rule("seer", lambda series: [[50] for _ in series])
MUTE = Rule("mute", lambda series: [[] for _ in series])
HERE = [rule for rule in rules.RULES if rule.is_here]


def noise(seed: int, n: int = 150, sigma: float = 0.01) -> Floats:
    return np.exp(sigma * np.random.default_rng(seed).normal(size=n))


def stretches(count: int) -> list[Stretch]:
    return [Stretch("made", noise(seed)) for seed in range(count)]


# --- data -------------------------------------------------------------------------------------------------------------


def test_a_stretch_is_stable_by_its_own_rule() -> None:
    stable = [data.is_stable(noise(seed)) for seed in range(40)]
    assert sum(stable) >= 38
    assert not any(data.is_stable(data.with_step(noise(seed), 75, 0.02)) for seed in range(40))
    assert not data.is_stable(noise(1, sigma=0.1)), "too noisy"
    assert not data.is_stable(np.ones(150)), "constant"


def test_a_short_level_far_out_is_not_stable_and_a_lone_outlier_is() -> None:
    visited, spiked = noise(1), noise(1)
    visited[:4] *= 2.0
    spiked[10] *= 2.0
    assert not data.is_stable(visited)
    assert data.is_stable(spiked)


def test_a_step_begins_at_its_place() -> None:
    assert data.with_step(np.ones(4), 2, 0.05).tolist() == [1.0, 1.0, 1.05, 1.05]


@pytest.mark.parametrize("kind", data.KINDS)
def test_noise_is_the_same_for_the_same_seed(kind: str) -> None:
    once, again = (data.noise(kind, 300, 0.01, np.random.default_rng(3)) for _ in range(2))
    assert (once == again).all()
    assert np.std(np.log(once)) > 0.005


def tree(folder: Path, values: Floats) -> Path:
    """An asv results folder with one benchmark."""
    machine = folder / "results" / "box"
    machine.mkdir(parents=True)
    (machine / "machine.json").write_text(json.dumps({"machine": "box", "version": 1}))
    bench = {"name": "time_a", "type": "time", "unit": "seconds", "version": "1", "params": [], "param_names": []}
    (folder / "results" / "benchmarks.json").write_text(json.dumps({"time_a": bench, "version": 2}))
    columns = ["result", "params", "version"]
    for i, value in enumerate(values):
        commit = f"{i + 1:08x}" * 5
        run = {
            "commit_hash": commit,
            "env_name": "py",
            "date": 1_600_000_000_000 + 1000 * i,
            "params": {"machine": "box"},
            "python": "3.11",
            "requirements": {},
            "env_vars": {},
            "result_columns": columns,
            "results": {"time_a": [[float(value)], [], "1"]},
            "durations": {},
            "version": 2,
        }
        (machine / f"{commit[:8]}-py.json").write_text(json.dumps(run))
    return folder


def test_stretches_of_a_tree_do_not_share_a_point(tmp_path: Path) -> None:
    values = noise(4, 120)
    path = tree(tmp_path / "made", values)
    archive = tmp_path / "packed.tar.xz"
    with tarfile.open(archive, "w:xz") as packed:
        packed.add(path / "results", "results")
    (unpacked,) = data.unpacked([archive], tmp_path / "out")
    for where in (path, unpacked):
        found = data.stretches([where], 50, 10, np.random.default_rng(1))
        assert [stretch.tree for stretch in found] == [where.name] * len(found)
        assert 1 <= len(found) <= 2
        starts = [int(np.flatnonzero(np.isclose(values, stretch.values[0]))[0]) for stretch in found]
        assert all(abs(a - b) >= 50 for a in starts for b in starts if a != b)
    assert data.stretches([path], 500, 10, np.random.default_rng(1)) == []


# --- rules ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", HERE, ids=lambda rule: rule.name)
def test_every_rule_tells_a_doubling_and_no_gain(rule: Rule) -> None:
    slower, faster = data.with_step(noise(5), 75, 1.0), data.with_step(noise(5), 75, -0.5)
    (told,) = rule.find([slower])
    assert any(abs(place - 75) <= 1 for place in told), told
    (told,) = rule.find([faster])
    assert not any(abs(place - 75) <= 1 for place in told), told


def test_a_run_of_slow_points_is_told_once() -> None:
    values = np.concatenate((noise(6, 60), [5.0, 5.0, 5.0]))
    (told,) = rules.each(rules.point_by_point(rules.conbench))([values])
    assert told == [60]


# --- scores -----------------------------------------------------------------------------------------------------------


def test_recall_counts_what_is_told_near_the_step_and_before_there_was_one() -> None:
    got = scores.recall(SEER, stretches(40), (0.05,), np.random.default_rng(1))
    places = np.random.default_rng(1).integers(data.EDGE, 150 - data.EDGE, 40 * scores.PLACES)
    near = (places - scores.EARLY <= 50) & (places + scores.LATE >= 50)
    assert got.found[0.05] == pytest.approx(near.mean(), abs=0.05)
    assert got.false_per_1000 == pytest.approx(1000 / 150)
    assert scores.recall(MUTE, stretches(4), (0.05,), np.random.default_rng(1)).found == {0.05: 0.0}
    assert scores.recall(OURS, stretches(20), (0.05,), np.random.default_rng(1)).found[0.05] > 0.9


def test_point_by_point_the_first_night_only_primes_and_nothing_is_told_twice() -> None:
    got = scores.online(SEER, stretches(3), (0.1,))
    assert (got.false_per_1000, got.delay) == (0.0, {0.1: math.inf})
    late = Rule("late", lambda series: [[100] if len(x) >= 104 else [] for x in series])
    got = scores.online(late, stretches(3), (0.1,))
    assert got.delay == {0.1: 4.0}
    assert got.false_per_1000 == pytest.approx(1000 / 90)
    assert scores.online(OURS, stretches(3), (0.1,)).delay[0.1] <= 4.0


def test_a_night_knows_which_alerts_are_false() -> None:
    everything = scores.nights(SEER, 1, np.random.default_rng(1), series=100)
    assert (everything.false_share, everything.told) == (0.98, 1.0)
    assert scores.nights(MUTE, 1, np.random.default_rng(1), series=100) == scores.Nights(0.0, 0.0)
    assert scores.nights(OURS, 1, np.random.default_rng(1), series=200).told >= 0.75


def test_power_grows_with_the_difference() -> None:
    equal, far = (scores.power(sigmas, 60, np.random.default_rng(1)) for sigmas in (0.0, 5.0))
    assert equal.different <= 0.05
    assert far.different >= 0.95
    assert far.pairs < equal.pairs


def test_shared_noise_is_what_a_machine_has_in_common() -> None:
    rng = np.random.default_rng(1)
    shared = 0.03 * rng.normal(size=100)
    before, after = scores.sigmas([np.exp(0.01 * rng.normal(size=100) + shared) for _ in range(30)])
    assert before == pytest.approx(0.03, rel=0.25)
    assert after == pytest.approx(0.01, rel=0.2)


# --- table ------------------------------------------------------------------------------------------------------------


def test_a_goal_that_is_missed_is_named() -> None:
    table = Table(["ours", "other"])
    table.add("recall", Goal(least=0.9), {"ours": 0.91, "other": 0.2})
    table.add("false", Goal(most=1.0), {"ours": 1.5})
    table.add("delay", Goal(most=5.0), {"ours": math.inf, "other": 3.0})
    assert table.missed() == ["false", "delay"]
    assert list(table.markdown())[2:] == [
        "| recall | >= 0.9 | 0.91 | 0.2 |",
        "| false | <= 1 | 1.5 | - |",
        "| delay | <= 5 | never | 3 |",
    ]


def test_pictures_show_every_rule(tmp_path: Path) -> None:
    table = Table(["ours", "other"])
    table.add("false per 1,000 points, 150 points", Goal(), {"ours": 0.5, "other": 20.0})
    table.add("recall of 3 %, 150 points", Goal(), {"ours": 0.9, "other": 0.4})
    pictures.draw(table, [OURS, MUTE], tmp_path, seed=1)
    recall, series = ((tmp_path / f"evaluation-{name}.svg").read_text() for name in ("recall", "series"))
    assert ">ours<" in recall
    assert ">other<" in recall
    assert ">mute<" in series


def test_the_command_explains_itself() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "tools.evaluation", "--help"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    assert "--trees" in told
