"""Measure one commit with asv: the suite of one revision, the package of another, one asv call per round.

A call per round means a fresh fork server per round, so that the medians of the rounds are independent of the bias that
the children of one server share; and a round that is done stays done. asv's exit codes mean nothing: files decide.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perfsvc.errors import RunnerError
from perfsvc.runner import asv_conf, asv_results, processes, trees
from perfsvc.runner.asv_results import Message, Round
from perfsvc.runner.machine import machine_facts

DOOR = Path(__file__).with_name("asv_main.py")
STEP = re.compile(r"^\[ *(?P<percent>[\d.]+)%\] ··· (?P<text>\w.+)$")
COUNT = re.compile(r"Running (\d+) total benchmarks")
EXCUSES = ("NotImplementedError", "asv: skipped")  #: how a suite says that the measured commit lacks a case

Told = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class Order:
    """What to measure, and where everything is."""

    commit: str
    conf: Mapping[str, Any]  #: the project's asv.conf.json
    suite: Path  #: folder of benchmarks, in the suite revision's tree
    tree: Path  #: the commit's tree
    mirror: Path
    scratch: Path
    bundle: Path
    python: Path  #: of the environment
    python_version: str
    env_name: str  #: asv's name of it
    runner: str  #: its name is asv's machine
    variables: Mapping[str, str]
    rounds: int
    launch_method: str
    timeout: float  #: wall clock for all rounds together
    leash: str
    bench: str = ""


def measure(
    order: Order, *, told: Told, cancelled: processes.Cancelled, log: processes.LineSink
) -> tuple[Message, ...]:
    """Fill the bundle with benchmarks.json and rounds/1.json ... rounds/N.json; say what failed beside that.

    Raises: RunnerError when nothing could be measured, with what asv or the benchmarks printed last; Interrupted.
    """
    (order.bundle / "rounds").mkdir()
    deadline = time.monotonic() + order.timeout
    steps = _Steps(order.rounds, told)
    messages: dict[Message, None] = {}
    bench = asv_results.check_regex(order.bench)
    for number in range(1, order.rounds + 1):
        done = _round(order, number, bench, deadline, steps, cancelled, log)
        shutil.move(done.path, order.bundle / "rounds" / f"{number}.json")
        messages.update(dict.fromkeys(done.messages))
        trees.check_facts(order.bundle / "facts.jsonl", order.tree)
        if number == 1:
            _check_values(done)
            shutil.copy(order.scratch / "round-1" / "results" / "benchmarks.json", order.bundle)
            again = asv_results.repeatable(order.bundle / "benchmarks.json", done.measured)
            if not again:
                break
            bench = asv_results.selection(again, order.bench)
    return tuple(messages)


def _round(
    order: Order,
    number: int,
    bench: str,
    deadline: float,
    steps: _Steps,
    cancelled: processes.Cancelled,
    log: processes.LineSink,
) -> Round:
    scratch = order.scratch / f"round-{number}"
    scratch.mkdir()
    steps.begin(number)

    def each_line(line: str) -> None:
        log(line)
        steps.line(line)

    try:
        ended = _asv(order, scratch, bench, max(deadline - time.monotonic(), 0.0), cancelled, each_line)
    except processes.TimedOut as error:
        limit = f"{order.timeout:.0f} s ([measure] timeout)"
        raise RunnerError(
            f"{order.commit[:12]}: not measured within {limit}, ended in round {number}. Last:\n{error.last_words}"
        ) from None
    done = asv_results.read_round(scratch / "results", order.runner, scratch / "printed.json")
    if done is None:
        raise RunnerError(f"{order.commit[:12]}: asv measured nothing in round {number}. Last:\n{ended.last_words}")
    return done


def discover(order: Order, *, cancelled: processes.Cancelled, log: processes.LineSink) -> list[dict[str, Any]]:
    """The benchmarks of the suite in asv's words. Raises: RunnerError with what asv printed last, Interrupted."""
    scratch = order.scratch / "discovery"
    scratch.mkdir()
    ended = _asv(order, scratch, "just-discover", order.timeout, cancelled, log)
    path = scratch / "results" / "benchmarks.json"
    if not path.is_file():
        raise RunnerError(f"{order.commit[:12]}: asv discovers nothing. Last:\n{ended.last_words}")
    told = json.loads(path.read_text(encoding="utf-8"))
    return [words for words in told.values() if isinstance(words, dict)]


def _asv(
    order: Order,
    scratch: Path,
    bench: str,
    timeout: float,
    cancelled: processes.Cancelled,
    each_line: processes.LineSink,
) -> processes.Ended:
    return processes.run(
        _command(order, scratch, bench),
        cwd=scratch,
        environment={**order.variables, "ASV_PYTHONPATH": trees.search_path(order.tree)},
        timeout=timeout,
        leash=order.leash,
        cancelled=cancelled,
        each_line=each_line,
    )


def _command(order: Order, scratch: Path, bench: str) -> list[str]:
    conf = asv_conf.write(
        dict(order.conf), suite=order.suite, mirror=order.mirror, commit=order.commit, scratch=scratch
    )
    command = [sys.executable, "-P", "-u", str(DOOR), str(_surroundings(order, scratch))]
    command += ["run", "--config", str(conf), "-E", f"existing:{order.python}", "--set-commit-hash", order.commit]
    command += ["--machine", order.runner, "-a", "rounds=1", "--record-samples", "--no-pull", "--show-stderr"]
    command += ["--launch-method", order.launch_method]
    return [*command, "--bench", bench] if bench else command


def _surroundings(order: Order, scratch: Path) -> Path:
    """What asv_main.py changes around asv, and asv's machine file."""
    machines = {order.runner: machine_facts(order.runner), "version": 1}
    (scratch / "machine.json").write_text(json.dumps(machines), encoding="utf-8")
    told = {
        "machine_file": str(scratch / "machine.json"),
        "stderr_file": str(scratch / "printed.json"),
        "environment": order.env_name,
        "python": order.python_version,
    }
    path = scratch / "surroundings.json"
    path.write_text(json.dumps(told), encoding="utf-8")
    return path


def _check_values(done: Round) -> None:
    """A commit none of whose cases exist is a finding; one that fails wherever it is touched was not measured."""
    if done.measured or not done.failed:
        return
    failures = [message for message in done.messages if not any(excuse in message.text for excuse in EXCUSES)]
    if failures:
        place, text = failures[0].place, failures[0].text
        raise RunnerError(f"{place}: failed, like all {len(done.failed)} benchmarks of this commit:\n{text}")


class _Steps:
    """Benchmarks done of all, over all rounds, from asv's percentages. A later round's size is guessed until known."""

    def __init__(self, rounds: int, told: Told) -> None:
        self.rounds, self.told = rounds, told
        self.number = self.before = self.size = 0

    def begin(self, number: int) -> None:
        self.before += self.size
        self.number = number

    def line(self, line: str) -> None:
        if match := COUNT.search(line):
            self.size = int(match[1])
        elif (match := STEP.match(line)) and self.size:
            done = round(float(match["percent"]) / 100 * self.size)
            total = self.before + self.size * (self.rounds - self.number + 1)
            self.told(self.before + done, total, " ".join(match["text"].split()))


def rounds(bundle: Path) -> Iterator[Path]:
    """The result files of a bundle, in the order they were measured."""
    yield from sorted((bundle / "rounds").glob("*.json"), key=lambda path: int(path.stem))
