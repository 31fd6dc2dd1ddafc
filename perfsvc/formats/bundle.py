"""A run's bundle, the folder that a runner makes -> RunReport. manifest.py has its layout.

Nothing that a bundle holds is used as a path: only names of the layout are opened, and no links are followed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TypeVar

from perfsvc.errors import ResultFormatError
from perfsvc.formats import asv_file, asv_results, asv_rows, asv_suite, json_text, manifest
from perfsvc.formats.asv_file import MACHINE_FIELDS, ResultFile
from perfsvc.formats.asv_suite import Suite
from perfsvc.formats.facts import read_facts
from perfsvc.formats.format import Known
from perfsvc.formats.junit import read_guards
from perfsvc.formats.manifest import Manifest
from perfsvc.formats.rounds import merge_rounds
from perfsvc.model import Benchmark, Complaint, Environment, Fact, Measurement, RunReport, Skip, content_hash

ROUNDS = "rounds"
GUARDS = "guards.xml"
FACTS = "facts.jsonl"
_ROUND = re.compile(rf"{ROUNDS}/([1-9][0-9]{{0,2}})\.json")

Parts = Mapping[str, bytes]
T = TypeVar("T")


def is_bundle(path: Path) -> bool:
    """Whether this folder is a bundle."""
    return path.is_dir() and (path / manifest.FILE).is_file()


def is_part(name: str) -> bool:
    """Whether a bundle has a part of this name. What is called otherwise is nobody's business, and is not read."""
    return name in (manifest.FILE, asv_suite.FILE, GUARDS, FACTS) or bool(_ROUND.fullmatch(name))


def read(folder: Path, known: Known = lambda _: False) -> Iterator[RunReport | Complaint]:
    """The run in a bundle's folder, unless its hash is known; a part that cannot be read is a complaint.

    Raises: ResultFormatError when bundle.json cannot be read, for then nobody knows what was measured.
    """
    parts: dict[str, bytes] = {}
    for name in filter(is_part, _names(folder)):
        path = folder / name
        try:
            if path.is_symlink() or path.parent.is_symlink():
                raise ResultFormatError(f"{path}: is a link; wanted a file")
            parts[name] = json_text.read_bytes(path)
        except ResultFormatError as error:
            yield asv_results.complaint(path, error)
    yield from read_parts(parts, str(folder), known)


def read_parts(parts: Parts, place: str, known: Known = lambda _: False) -> Iterator[RunReport | Complaint]:
    """As `read`, of parts that are in memory: what came over HTTP need not be unpacked. Other names are not read."""
    mine = {name: data for name, data in sorted(parts.items()) if is_part(name)}
    if known(hashed := content_hash(*chain.from_iterable((name.encode(), data) for name, data in mine.items()))):
        return
    if manifest.FILE not in mine:
        raise ResultFormatError(f"{place}: has no {manifest.FILE}; wanted a bundle that a runner made")
    yield from _Reader(mine, place).read(hashed)


def _names(folder: Path) -> Iterator[str]:
    for place in (folder, folder / ROUNDS):
        if place.is_dir():
            yield from sorted(path.relative_to(folder).as_posix() for path in place.iterdir())


class _Reader:
    """One reading of one bundle: its parts, and what there is to complain about."""

    def __init__(self, parts: Parts, place: str) -> None:
        self.parts = parts
        self.place = place
        self.complaints: list[Complaint] = []

    def read(self, hashed: str) -> Iterator[RunReport | Complaint]:
        told = manifest.parse_manifest(self.parts[manifest.FILE], f"{self.place}/{manifest.FILE}")
        suite = self._part(asv_suite.FILE, asv_suite.read_suite) or Suite()
        self.complaints += suite.complaints
        rounds = self._of_one_version(self._rounds(told, suite))
        facts, torn = self._part(FACTS, read_facts) or ((), ())
        self.complaints += torn
        found = _report(told, suite, rounds, hashed)
        guards = self._part(GUARDS, read_guards) or ()
        yield replace(
            found,
            skips=tuple(_explained(found.skips, facts)),
            facts=tuple(fact for fact in facts if not fact.reason),
            guards=guards,
            messages=(*told.messages, *self._unread()),
        )
        yield from self.complaints

    def _unread(self) -> Iterator[str]:
        """The complaints, for whoever looks at the run later: where the bundle lay is no matter then."""
        for each in self.complaints:
            yield f"not read: {each.place.removeprefix(f'{self.place}/')}: {each.reason}"

    def _part(self, name: str, reader: Callable[[bytes, str], T]) -> T | None:
        """What a reader makes of a part; nothing where the part is missing, or cannot be read, which is a complaint."""
        if name not in self.parts:
            return None
        place = f"{self.place}/{name}"
        try:
            return reader(self.parts[name], place)
        except ResultFormatError as error:
            self._complain(name, str(error).removeprefix(f"{place}: "))
            return None

    def _rounds(self, told: Manifest, suite: Suite) -> Iterator[tuple[str, ResultFile]]:
        names = sorted(filter(_ROUND.fullmatch, self.parts), key=lambda name: (len(name), name))
        for name in names:
            parsed = self._part(name, lambda data, place: asv_file.parse(data, place, suite.params))
            if parsed is None:
                continue
            self.complaints += parsed.complaints
            if parsed.commit_hash != told.commit.hash:
                self._complain(
                    name, f"measured {parsed.commit_hash}; wanted {told.commit.hash}, which the bundle is of"
                )
                continue
            yield name, parsed

    def _of_one_version(self, rounds: Iterator[tuple[str, ResultFile]]) -> list[ResultFile]:
        """The rounds without rows whose benchmark has another version than in the round before: another benchmark."""
        versions: dict[str, str | None] = {}
        kept = []
        for name, parsed in rounds:
            odd = {key for key, row in parsed.rows.items() if versions.setdefault(key, row.version) != row.version}
            for key in sorted(odd):
                self._complain(name, f"{key} has version {parsed.rows[key].version}; wanted {versions[key]}, as before")
            kept.append(replace(parsed, rows={key: row for key, row in parsed.rows.items() if key not in odd}))
        return kept

    def _complain(self, name: str, reason: str) -> None:
        self.complaints.append(Complaint(f"{self.place}/{name}", reason))


def _report(told: Manifest, suite: Suite, rounds: Sequence[ResultFile], hashed: str) -> RunReport:
    outcomes = list(merge_rounds(_outcomes(parsed) for parsed in rounds))
    benchmarks: dict[str, Benchmark] = {}
    for parsed in rounds:
        benchmarks.update((each.name, each) for each in asv_results.benchmarks(parsed, suite))
    first = rounds[0] if rounds else None
    return RunReport(
        machine=told.machine,
        env_name=first.env_name if first else told.device,
        commit=told.commit,
        content_hash=hashed,
        benchmarks=tuple(benchmarks.values()),
        measurements=tuple(each for each in outcomes if isinstance(each, Measurement)),
        skips=tuple(each for each in outcomes if isinstance(each, Skip)),
        environment=Environment(told.environment.lock, told.environment.fingerprint),
        started_at=told.started_at or (first.started_at if first else None),
        duration=told.duration,
        machine_facts={key: first.params[key] for key in MACHINE_FIELDS if key in first.params} if first else {},
        readings=told.readings,
        canary=told.canary,
        suite_revision=told.suite_revision,
        origin="" if told.job is None else f"job:{told.job}",
        job=told.job,
        attempt=told.attempt,
    )


def _explained(skips: Sequence[Skip], facts: Sequence[Fact]) -> Iterator[Skip]:
    """asv keeps no reasons; a suite that wants them read writes them beside its facts."""
    reasons = {(fact.benchmark, fact.params): fact.reason for fact in facts if fact.reason}
    for skip in skips:
        reason = reasons.get((skip.benchmark, skip.params))
        yield replace(skip, reason=f"{skip.reason}: {reason}") if reason else skip


def _outcomes(parsed: ResultFile) -> Iterator[Measurement | Skip]:
    for name, row in parsed.rows.items():
        yield from asv_rows.outcomes(name, row)
