"""A library's month, put into a real store through the real doors: what the pages are tested on.

30 commits on `mybox-cpu`. At 22 the mask is no longer cached: slower, and more operators. At 20 the train step got
faster. At 27 a mask lets a future token through: guard G4 fails, and that kernel "got faster". At 12 the environment
moved. One series is noise, one is new, one has lost its value.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from perfsvc import pipeline
from perfsvc.model import (
    Benchmark,
    Commit,
    Device,
    Direction,
    Environment,
    Fact,
    GuardResult,
    JobKind,
    JobState,
    Measurement,
    Metric,
    Outcome,
    RunReport,
    Skip,
    content_hash,
)
from perfsvc.settings import Settings
from perfsvc.store import Store, writes

MACHINE = "mybox-cpu"
COMMITS, FASTER, SLOWER, WRONG, MOVED = 30, 20, 22, 27, 12

TIME = Metric("time", "seconds", Direction.LOWER)
OPERATORS = Metric("operators", "1", Direction.LOWER, exact=True)
ALLOCATED = Metric("allocated", "bytes", Direction.LOWER, exact=True)

FORWARD, TRAIN = "forward.SingleHead.time_forward", "train_step.TrainStep.time_step"
COUNTER, PEAK = "counters.Operators.track_operators", "memory.Peak.track_allocated"
NOISY, NEW, LOST = "kv_cache.Append.time_append", "decoder.Decode.time_token", "backward.Backward.time_backward"

#: name -> metric, typical value, noise of one value (relative), variants
SUITE: dict[str, tuple[Metric, float, float, tuple[str, ...]]] = {
    FORWARD: (TIME, 3.42e-3, 0.008, ("'cached'", "'masked'", "'sdpa'")),
    TRAIN: (TIME, 41.7e-3, 0.01, ("'sdpa'",)),
    COUNTER: (OPERATORS, 12, 0.0, ("'cached'",)),
    PEAK: (ALLOCATED, 1.5 * 1024**2, 0.0, ("'cached'", "'sdpa'")),
    NOISY: (TIME, 210e-6, 0.6, ("'paged'",)),
    NEW: (TIME, 1.1e-3, 0.01, ("'sdpa'",)),
    LOST: (TIME, 8.8e-3, 0.01, ("'sdpa'",)),
}

SUBJECTS = {
    FASTER: "train: fuse the optimiser step",
    SLOWER: "masks: build the causal mask on every call",
    WRONG: "masks: tidy the offset of the triangle",
}


@dataclass(frozen=True)
class Names:
    """What a repository may call things; hostile ones are markup, very long, or written the other way round."""

    variant: str = "'masked'"
    subject: str = ""
    author: str = "Ada"
    message: str = "row 17 reads the future"


def commit_at(i: int, now: datetime, names: Names = Names()) -> Commit:
    subject = names.subject or SUBJECTS.get(i, f"docs: chapter {i}")
    written = now - timedelta(hours=2, minutes=20) - timedelta(days=COMMITS - 1 - i)
    return Commit(f"{i:02d}" + content_hash(str(i).encode())[:38], written, author=names.author, subject=subject)


def fill(
    store: Store,
    now: datetime,
    *,
    project: str = "attention",
    machine: str = MACHINE,
    names: Names = Names(),
    jobs: bool = True,
) -> int:
    """The whole month, judged every ten commits. Returns the project's id."""
    settings = Settings(_env_file=None)  # type: ignore[call-arg]
    line = [commit_at(i, now, names) for i in range(COMMITS)]
    with store.writing() as tx:
        project_id = writes.catalog.keep_project(tx, project, now=line[0].authored_at, repository="/src/attention")
        writes.catalog.keep_line(tx, project_id, line)
        runner_id = writes.catalog.keep_runner(tx, machine, Device.CPU, {"cpu": "8 cores"}, now=now)
    rng = random.Random(7)
    for i, commit in enumerate(line):
        stored = commit.authored_at + timedelta(minutes=4)
        pipeline.ingest(store, project_id, [report(i, commit, rng, names, machine)], settings, stored)
        if i % 10 == 9:
            pipeline.process(store, project_id, settings, stored)
    if jobs:
        _nights(store, project_id, runner_id, now)
    return project_id


def report(i: int, commit: Commit, rng: random.Random, names: Names, machine: str = MACHINE) -> RunReport:
    measured, skips = [], []
    for name, (_, typical, noise, variants) in SUITE.items():
        for variant in variants:
            params = (names.variant if variant == "'masked'" else variant, "'prefill_2k'")
            if name == NEW and i < COMMITS - 3:
                continue
            if name == LOST and i == COMMITS - 1:
                skips.append(Skip(name, params, "asv reports that this benchmark failed"))
                continue
            value = typical * _told(name, variant, i) * rng.lognormvariate(0, noise)
            spread = (value * (1 - noise), value * (1 + noise)) if noise else (None, None)
            measured.append(Measurement(name, params, value, *spread))
    return RunReport(
        machine=machine,
        env_name="virtualenv-py3.11",
        commit=commit,
        content_hash=content_hash(commit.hash.encode(), machine.encode()),
        benchmarks=tuple(Benchmark(n, "1", m, ("variant", "workload")) for n, (m, *_) in SUITE.items()),
        measurements=tuple(measured),
        skips=tuple(skips),
        guards=tuple(_guards(i, names)),
        facts=(Fact(COUNTER, ("'cached'", "'prefill_2k'"), {"aten::mm": 3, "aten::triu": int(i >= SLOWER)}),),
        environment=Environment(fingerprint={"torch": "2.12.1" if i < MOVED else "2.13.0", "cpu": "8 cores"}),
        started_at=commit.authored_at + timedelta(minutes=1),
        duration=148.0,
        messages=("guards: <b>pytest</b> found no tests",) if i == COMMITS - 1 else (),
    )


def _told(name: str, variant: str, i: int) -> float:
    """The planted truth: how many times its first level a value is at commit `i`."""
    if i >= SLOWER and variant == "'cached'" and name in (FORWARD, COUNTER):
        return 1.42 if name == FORWARD else 13 / 12
    if i >= FASTER and name == TRAIN:
        return 1 / 1.25
    return 0.6 if i >= WRONG and name == FORWARD and variant == "'masked'" else 1.0


def _guards(i: int, names: Names) -> list[GuardResult]:
    found = []
    for guard, tolerance in (("G1", 1e-5), ("G4", 1e-6), ("G7", None)):
        for variant in ("cached", "masked", "sdpa"):
            wrong = guard == "G4" and variant == "masked" and i >= WRONG
            shown = names.variant.strip("'") if variant == "masked" else variant
            error = None if tolerance is None else (4.2e-1 if wrong else tolerance * (0.2 + 0.01 * i))
            outcome = Outcome.FAILED if wrong else Outcome.PASSED
            if guard == "G7" and variant == "sdpa":
                outcome = Outcome.NOT_APPLICABLE
            found.append(
                GuardResult(
                    guard,
                    f"tests/guards/test_{guard.lower()}.py::test_it[{shown}]",
                    outcome,
                    variant=shown,
                    device="cpu",
                    dtype="float32",
                    error=error,
                    tolerance=tolerance,
                    covers=r"^forward\." if wrong and names.variant != "'masked'" else r"^forward\..*masked",
                    message=names.message if wrong else "",
                )
            )
    return found


def _nights(store: Store, project_id: int, runner_id: int, now: datetime) -> None:
    """Last night went well, the one before failed, and a re-measurement runs now."""
    endings = (
        (27, JobState.FAILED, "pip could not build the wheel of 1a2b3c4d"),
        (3, JobState.DONE, "1 commit"),
        (0, None, ""),
    )
    for hours, ending, message in endings:
        began = now - timedelta(hours=hours, minutes=10)
        kind = JobKind.REMEASURE if ending is None else JobKind.NIGHTLY
        with store.writing() as tx:
            job = writes.jobs.add_job(
                tx, project_id=project_id, runner_id=runner_id, kind=kind, spec={"last": 20}, now=began
            )
            assert job is not None
            writes.jobs.claim(tx, job, 1, lease_until=now + timedelta(hours=1), now=began)
            if ending is None:
                lease = now + timedelta(minutes=5)
                writes.jobs.renew(tx, job, 1, lease_until=lease, done=0.4, message="measuring forward.SingleHead")
            else:
                writes.jobs.finish(tx, job, 1, ending, message=message, now=began + timedelta(minutes=4))
