"""bundle.json: what a runner knows of a run beside its numbers. Written and read here, so the layout has one place.

BUNDLE/bundle.json  benchmarks.json  rounds/1.json, 2.json, ...  guards.xml  facts.jsonl
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from perfsvc.errors import ResultFormatError
from perfsvc.formats import json_text
from perfsvc.formats.words import Words
from perfsvc.model import Commit, Environment, Json

FILE = "bundle.json"
VERSION = 1
MAX_BYTES = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Manifest:
    """A bundle's own words. `job` and `attempt` are None for what was measured without a service."""

    project: str
    machine: str
    device: str
    commit: Commit
    suite_revision: str = ""
    environment: Environment = field(default_factory=Environment)
    started_at: datetime | None = None
    duration: float | None = None
    readings: Json = field(default_factory=dict)
    canary: Json = field(default_factory=dict)
    job: int | None = None
    attempt: int | None = None
    messages: tuple[str, ...] = ()


def write_manifest(folder: Path, manifest: Manifest) -> Path:
    """Write bundle.json into a bundle's folder, whole or not at all. Returns its path."""
    path = folder / FILE
    draft = folder / f".{FILE}.new"
    text = json.dumps(json_text.strict(_words(manifest), FILE), indent=1, ensure_ascii=False, allow_nan=False)
    draft.write_text(text + "\n", encoding="utf-8", errors="replace")
    draft.replace(path)
    return path


def read_manifest(folder: Path) -> Manifest:
    """Read bundle.json of a bundle's folder. Raises: ResultFormatError, also for a bundle of a newer service."""
    path = folder / FILE
    return parse_manifest(json_text.read_bytes(path, limit=MAX_BYTES), str(path))


def parse_manifest(data: bytes, place: str) -> Manifest:
    """Read the bytes of bundle.json. Raises: ResultFormatError naming the key that is missing or of the wrong kind."""
    told = Words(json_text.load_object(data, place), place)
    version = told.integer("bundle")
    if version != VERSION:
        newer = "; it was made by a newer perfsvc: upgrade this one" if (version or 0) > VERSION else ""
        raise ResultFormatError(f"{place}: is a bundle of version {version}; wanted {VERSION}{newer}")
    environment = told.inner("environment")
    return Manifest(
        project=told.text("project", needed=True),
        machine=told.text("machine", needed=True),
        device=told.text("device"),
        commit=_commit(told.inner("commit")),
        suite_revision=told.text("suite_revision"),
        environment=Environment(environment.object("lock"), environment.object("fingerprint")),
        started_at=told.moment("started_at"),
        duration=told.real("duration"),
        readings=told.object("readings"),
        canary=told.object("canary"),
        job=told.integer("job"),
        attempt=told.integer("attempt"),
        messages=told.texts("messages"),
    )


def _words(manifest: Manifest) -> dict[str, Any]:
    commit = manifest.commit
    return {
        "bundle": VERSION,
        "project": manifest.project,
        "machine": manifest.machine,
        "device": manifest.device,
        "commit": {
            "hash": commit.hash,
            "authored_at": _iso(commit.authored_at),
            "parents": list(commit.parents),
            "author": commit.author,
            "subject": commit.subject,
            "trailers": [list(pair) for pair in commit.trailers],
            "changed_paths": list(commit.changed_paths),
        },
        "suite_revision": manifest.suite_revision,
        "environment": {"lock": manifest.environment.lock, "fingerprint": manifest.environment.fingerprint},
        "started_at": manifest.started_at and _iso(manifest.started_at),
        "duration": manifest.duration,
        "readings": manifest.readings,
        "canary": manifest.canary,
        "job": manifest.job,
        "attempt": manifest.attempt,
        "messages": list(manifest.messages),
    }


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


def _commit(told: Words) -> Commit:
    authored_at = told.moment("authored_at")
    if authored_at is None:
        raise ResultFormatError(f"{told.place}: has no authored_at; wanted the author's date of the commit")
    return Commit(
        hash=told.hash("hash"),
        authored_at=authored_at,
        parents=told.texts("parents"),
        author=told.text("author"),
        subject=told.text("subject"),
        trailers=told.pairs("trailers"),
        changed_paths=told.texts("changed_paths"),
    )
