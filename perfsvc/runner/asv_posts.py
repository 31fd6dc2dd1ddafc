"""A side's round by asv's own command line: for a suite that needs more of asv than side_main.py does.

Each round calls `asv run` once a side, one side after the other: a case has one visit, and asv's start is paid anew.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from perfsvc.errors import RunnerError
from perfsvc.formats import asv_file, asv_rows
from perfsvc.model import Measurement, Skip
from perfsvc.runner import asv_engine, asv_results, processes
from perfsvc.runner.asv_results import Message
from perfsvc.runner.posts import Answer


@dataclass(slots=True)
class AsvPost:
    """Does what a Post does. Each call of asv has a folder of its own below `order.scratch`."""

    order: asv_engine.Order
    cancelled: processes.Cancelled
    _names: Sequence[str] = ()
    _answers: dict[str, list[Answer]] = field(default_factory=dict)  #: by benchmark, in the order of its cases
    _failure: str = "asv told nothing of it"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing runs between two calls."""

    def ask_what_is_there(self) -> None:
        """Nothing to do ahead: two calls of asv at once would disturb each other."""

    def what_is_there(self) -> tuple[list[dict[str, Any]], str]:
        """The benchmarks of the suite in asv's own words, or what asv printed instead. Raises: Interrupted."""
        try:
            return asv_engine.discover(self._fresh(), cancelled=self.cancelled, log=lambda _: None), ""
        except processes.Interrupted:
            raise
        except RunnerError as error:
            return [], str(error)

    def begin(self, names: Sequence[str]) -> None:
        self._names = names

    def begun(self) -> None:
        """Measure all of this round. Raises: Interrupted."""
        order = self._fresh()
        bench = "" if order.bench.startswith("!") else order.bench
        order = replace(order, bench=asv_results.selection(list(self._names), bench))
        try:
            messages = asv_engine.measure(order, told=lambda *_: None, cancelled=self.cancelled, log=lambda _: None)
        except processes.Interrupted:
            raise
        except RunnerError as error:
            self._failure = str(error)
            return
        path = order.bundle / "rounds" / "1.json"
        for name, row in asv_file.parse(path.read_bytes(), path.name).rows.items():
            self._answers[name] = [_answer(outcome, messages) for outcome in asv_rows.outcomes(name, row)]

    def run(self, name: str, index: int | None, timeout: float) -> Answer:
        """What the round's call of asv told of a case."""
        answers = self._answers.get(name, [])
        place = index or 0
        return answers[place] if place < len(answers) else Answer(None, self._failure)

    def _fresh(self) -> asv_engine.Order:
        place = Path(tempfile.mkdtemp(dir=self.order.scratch))
        return replace(self.order, scratch=place, bundle=place)


def _answer(outcome: Measurement | Skip, messages: Sequence[Message]) -> Answer:
    if isinstance(outcome, Measurement):
        return Answer(outcome.value)
    told = next((message.text for message in messages if message.place.startswith(outcome.benchmark)), outcome.reason)
    return Answer(None, told, skipped=outcome.reason == asv_rows.SKIPPED)
