"""Under which names foreign runs are kept: environments stand apart, rules join what belongs together, texts fit."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from perfsvc import pipeline
from perfsvc.formats import Naming, asv_file, asv_results, naming, read
from perfsvc.formats.asv_suite import Suite
from perfsvc.formats.naming import AS_TOLD, series_machine, shortened, storable_params
from perfsvc.model import Benchmark, Commit, Complaint, Direction, Measurement, Metric, RunReport, Skip
from perfsvc.settings import IngestSection, Settings
from perfsvc.store import Store, queries, writes

COMMIT = Commit("a" * 40, datetime(2026, 1, 1, tzinfo=UTC))
TIME = Metric("time", "seconds", Direction.LOWER)
TOY = Path(__file__).parents[1] / "data" / "asv" / "2" / "toy"


def run(machine: str = "box", env_name: str = "conda-py3.12", *names: str, **words: Any) -> RunReport:
    told = names or ("time_a",)
    return RunReport(
        machine=machine,
        env_name=env_name,
        commit=COMMIT,
        content_hash=f"{machine} {env_name}",
        benchmarks=tuple(Benchmark(name, "1", TIME, ("n",)) for name in told),
        measurements=tuple(Measurement(name, ("16",), 1.0) for name in told),
        skips=tuple(Skip(name, ("32",), "not here") for name in told),
        **words,
    )


def named(report: RunReport, **rules: Any) -> RunReport:
    (found,) = Naming(IngestSection(**rules)).named(report)
    assert isinstance(found, RunReport)
    return found


# --- machines and environments ----------------------------------------------------------------------------------------


def test_an_environment_is_a_part_of_the_name_of_its_machine() -> None:
    assert named(run("box", "conda-py3.12")).machine == "box/conda-py3.12"
    assert named(run("box", "")).machine == "box"
    long = "virtualenv-py3.12-matplotlib-netcdf4-numpy-pandas-pint-pooch-pyproj-scipy-traitlets-xarray"
    assert named(run("box", long)).machine == "box/virtualenv-py3.12-matplotlib~e49c9e87"
    assert named(run("box", long)).env_name == long


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
@example("box", "e" * 50 + "1", "e" * 50 + "2")
def test_two_environments_never_share_a_series(machine: str, one: str, other: str) -> None:
    assert (named(run(machine, one)).machine == named(run(machine, other)).machine) is (one == other)


def test_a_pool_joins_machines_and_keeps_their_environments_and_their_runs_apart() -> None:
    pools = {r"fv-az\d+-\d+": "hosted"}
    first, second = (named(run(f"fv-az{n}-7"), pools=pools) for n in (1, 2))
    assert first.machine == second.machine == "hosted/conda-py3.12"
    assert first.origin != second.origin
    assert first.machine_facts["machine"] == "fv-az1-7"
    assert named(run("fv-az1-7b"), pools=pools).machine == "fv-az1-7b/conda-py3.12"


def test_a_machine_that_was_replaced_goes_on_under_the_name_of_the_new_one() -> None:
    pools = {r"old-(\w+)": r"\1"}
    assert named(run("old-box"), pools=pools).machine == named(run("box"), pools=pools).machine


def test_a_rule_says_what_an_environment_is_called_or_that_it_is_not() -> None:
    rules = {r"virtualenv-(py3\.\d+)-.*": r"\1", r"existing-.*": ""}
    assert named(run("box", "virtualenv-py3.7-docker"), environments=rules).machine == "box/py3.7"
    assert named(run("box", "existing-py3.12"), environments=rules).machine == "box"
    assert named(run("box", "conda-py3.12"), environments=rules).machine == "box/conda-py3.12"
    assert named(run("box", "existing-py3.12"), environments=rules).env_name == "existing-py3.12"


# --- benchmarks -------------------------------------------------------------------------------------------------------


def test_a_renamed_benchmark_takes_its_values_and_its_skips_along() -> None:
    found = named(run("m", "e", "old.time_a", "time_b"), rename=[{"match": r"old\.(.*)", "to": r"new.\1"}])
    assert [each.name for each in found.benchmarks] == ["new.time_a", "time_b"]
    assert {each.benchmark for each in found.measurements} == {"new.time_a", "time_b"}
    assert {each.benchmark for each in found.skips} == {"new.time_a", "time_b"}


def test_versions_that_a_cosmetic_edit_cut_apart_become_one() -> None:
    found = named(run("m", "e", "time_a", "time_b"), rename=[{"match": "time_a", "version": "7"}])
    assert [(each.name, each.version) for each in found.benchmarks] == [("time_a", "7"), ("time_b", "1")]


def test_the_first_rule_that_matches_the_whole_name_counts() -> None:
    rules = [{"match": "time", "to": "x"}, {"match": "time_a", "to": "y"}, {"match": ".*", "to": "z"}]
    assert [each.name for each in named(run("m", "e", "time_a"), rename=rules).benchmarks] == ["y"]


@pytest.mark.parametrize("names", [("old", "new"), ("new", "old"), ("old", "older")])
def test_a_name_that_another_benchmark_has_is_not_taken_from_it(names: tuple[str, str]) -> None:
    rule = Naming(IngestSection.model_validate({"rename": [{"match": "old.*", "to": "new"}]}))
    complaint, found = rule.named(run("m", "e", *names))
    assert isinstance(complaint, Complaint)
    assert complaint.place == "m, commit aaaaaaaa"
    assert complaint.reason.endswith("is not renamed to new, which the same run holds too")
    assert isinstance(found, RunReport)
    assert len({each.benchmark for each in found.measurements}) == 2


# --- content ----------------------------------------------------------------------------------------------------------


def test_a_changed_rule_makes_what_is_kept_unknown_and_the_same_rule_does_not() -> None:
    rules = Naming(IngestSection(pools={"toy": "box"}))

    def hashes(rules: Naming) -> list[str]:
        return [each.content_hash for each in read(TOY, naming=rules) if isinstance(each, RunReport)]

    plain, pooled = hashes(AS_TOLD), hashes(rules)
    assert plain != pooled
    assert list(read(TOY, known=pooled.__contains__, naming=rules)) == []
    assert list(read(TOY, known=plain.__contains__)) == []
    assert len(list(read(TOY, known=plain.__contains__, naming=rules))) == 1


def test_a_bundle_names_its_machine_itself() -> None:
    rules = Naming(IngestSection(pools={".*": "pool"}, environments={".*": "env"}))
    bundle = TOY.parents[2] / "bundle" / "1" / "two_rounds"
    assert [each.machine for each in read(bundle, naming=rules) if isinstance(each, RunReport)] == ["toy-cpu"]


# --- what a database keeps --------------------------------------------------------------------------------------------


@given(st.text(), st.integers(20, 60))
@example("a" * 19 + "🙂" * 10, 20)
def test_a_shortened_text_fits_and_a_short_one_stays(text: str, limit: int) -> None:
    found = shortened(text, limit)
    assert len(found.encode()) <= limit
    assert (found == text) is (len(text.encode()) <= limit)
    assert shortened(found, limit) == found
    assert shortened(text + "x" * 60, limit) != shortened(text + "y" * 60, limit)


@given(st.lists(st.text(), max_size=naming.MAX_PARAMETERS).map(tuple))
@example(("\x01" * 400,) * naming.MAX_PARAMETERS)
def test_parameters_fit_an_index(params: tuple[str, ...]) -> None:
    found = storable_params(params)
    assert len(found) == len(params)
    assert len(json.dumps(found)) <= naming.PARAMS_BYTES + 4 * len(params) + 2


@pytest.mark.parametrize("at", [datetime.min, datetime(1653, 2, 5), datetime.max], ids=str)  # noqa: DTZ001, DTZ901
def test_dates_that_nobody_expects_are_kept_by_either_database(store: Store, at: datetime) -> None:
    milliseconds = (at.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    words = {"version": 1, "commit_hash": "a" * 40, "date": milliseconds, "results": {"b.time_x": 1.0}}
    parsed = asv_file.parse(json.dumps(words).encode(), "f.json")
    report = asv_results.report(parsed, Suite(), asv_results.Machine("box"), "h")
    with store.writing() as tx:
        project = writes.catalog.keep_project(tx, "odd", now=COMMIT.authored_at)
    pipeline.ingest(store, project, AS_TOLD.named(report), Settings(), COMMIT.authored_at)
    pipeline.process(store, project, Settings(), COMMIT.authored_at)
    with store.reading() as tx:
        (found,) = queries.runs(tx, project)
    assert found.commit.authored_at == parsed.authored_at


def test_texts_that_nobody_expects_are_kept_by_either_database(store: Store) -> None:
    generator = random.Random(7)
    odd = "".join(generator.choices("\x01\x1b<>'\"; DROP TABLE run;--ä🙂", k=10_000))
    metric = Metric(odd, odd)
    described = Benchmark(odd, odd, metric, (odd,))
    report = RunReport(odd, odd, COMMIT, "h", (described,), (Measurement(odd, (odd, odd), 1.0),), (Skip(odd, (), odd),))
    with store.writing() as tx:
        project = writes.catalog.keep_project(tx, "odd", now=COMMIT.authored_at)
    done = pipeline.ingest(store, project, AS_TOLD.named(report), Settings(), COMMIT.authored_at)
    assert done.new == 1
    with store.reading() as tx:
        (found,) = queries.runs(tx, project)
        kept = queries.series(tx, project)
    assert found.machine == series_machine(odd, odd)
    assert {row.benchmark for row in kept} == {shortened(odd, naming.NAME_BYTES)}
