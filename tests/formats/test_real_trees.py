"""Histories that nobody here made, where PERFSVC_ASV_TREES names a folder of them: complete, and as asv reads them."""

from __future__ import annotations

import itertools
import math
import os
import tarfile
from collections import defaultdict
from pathlib import Path

import pytest
from asv import util
from asv.results import Results

from perfsvc.formats import asv_results, read, scan
from perfsvc.model import RunReport

ARCHIVES = os.environ.get("PERFSVC_ASV_TREES", "")
pytestmark = pytest.mark.skipif(
    not Path(ARCHIVES or "/nonexistent").is_dir(), reason="PERFSVC_ASV_TREES names no folder"
)

Case = tuple[str, tuple[str, ...]]

#: files, measurements, skips
HISTORIES = {
    "django": (1440, 80214, 0),
    "flowkit": (304, 58872, 15760),
    "metpy": (59, 7441, 111),
    "thematrix": (266, 6627, 0),
}


def unpacked(name: str, folder: Path) -> Path:
    archive = Path(ARCHIVES) / f"{name}.tar.xz"
    if not archive.is_file():
        pytest.skip(f"{archive} is not there")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder


@pytest.mark.parametrize("name", HISTORIES)
def test_a_real_history_goes_in_completely_and_once(name: str, tmp_path: Path) -> None:
    tree = unpacked(name, tmp_path)
    runs = [each for each in read(tree) if isinstance(each, RunReport)]
    found = (len(runs), sum(len(run.measurements) for run in runs), sum(len(run.skips) for run in runs))
    assert found == HISTORIES[name]
    known = {run.content_hash for run in runs}
    assert len(known) == len(runs)
    assert {hashed for _, hashed in scan(tree)} == known
    assert list(read(tree, known=known.__contains__)) == []


def test_no_series_of_a_real_history_holds_two_environments(tmp_path: Path) -> None:
    tree = unpacked("django", tmp_path)
    environments: dict[str, set[tuple[object, str]]] = defaultdict(set)
    measured: dict[tuple[str, str], int] = defaultdict(int)
    for run in read(tree):
        assert isinstance(run, RunReport)
        environments[run.machine].add((run.machine_facts["machine"], run.env_name))
        measured[run.machine, run.commit.hash] += 1
    assert len(environments) == 8  # of four machines, two of which measured commits in up to three environments
    assert all(len(told) == 1 for told in environments.values())
    assert set(measured.values()) == {1}


@pytest.mark.parametrize("name", HISTORIES)
def test_every_number_of_a_real_history_is_what_asv_reads(name: str, tmp_path: Path) -> None:
    tree = unpacked(name, tmp_path)
    ours: dict[tuple[str, str, str], dict[Case, object]] = defaultdict(dict)
    for run in asv_results.read(tree):
        assert isinstance(run, RunReport)
        values = ours[run.machine, run.commit.hash, run.env_name]
        values.update(
            {(m.benchmark, m.params): (m.value, *shortened(m.q25, m.q75), m.samples) for m in run.measurements}
        )
        values.update({(s.benchmark, s.params): None for s in run.skips})
    for file in sorted(tree.glob("results/*/*-*.json")):
        if util.load_json(str(file))["version"] == 1:
            Results.update(str(file))  # asv brings its own old files up to date before it reads them
        theirs = Results.load(str(file))
        values = ours.pop((theirs.params["machine"], theirs.commit_hash, theirs.env_name))
        assert values == dict(cases_of(theirs))
    assert ours == {}


def shortened(*quartiles: float | None) -> list[float | None]:
    """To five digits, as asv writes statistics when it brings an old file up to date."""
    return list(util.truncate_float_list(list(quartiles)))


def cases_of(theirs: Results) -> list[tuple[Case, object]]:
    found: list[tuple[Case, object]] = []
    for name in theirs.get_all_result_keys():
        params = theirs.get_result_params(name)
        columns = (theirs.get_result_value, theirs.get_result_stats, theirs.get_result_samples)
        for case, value, stats, samples in zip(
            itertools.product(*params), *(list(column(name, params)) for column in columns), strict=True
        ):
            told = value is not None and not math.isnan(value)
            stats = stats or {}
            row = (value, stats.get("q_25"), stats.get("q_75"), tuple(samples or ()))
            found.append(((name, case), row if told else None))
    return found
