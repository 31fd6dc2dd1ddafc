"""What work needs to know before it begins: the project, this machine's runners, and which commits to measure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from perfsvc import git, jobs
from perfsvc.errors import NotFound
from perfsvc.model import Device, JobKind
from perfsvc.rows import JobRow, ProjectRow
from perfsvc.runner import asv_conf, machine
from perfsvc.settings import SUITE_FILE, Settings, project_folder
from perfsvc.store import Store, queries, writes


@dataclass(frozen=True, slots=True)
class Place:
    """A project on this machine with its row in the store."""

    id: int
    name: str
    folder: Path
    settings: Settings
    line: tuple[str, ...] = ()  #: hashes of the watched branch, oldest first, as git tells it, also in a shallow clone


@dataclass(frozen=True, slots=True)
class Selection:
    """What of the suite is run."""

    bench: str = ""  #: regex over `name(params)`; "" = all
    grid: str = "quick"
    guards: bool = True


def register_project(store: Store, folder: Path, settings: Settings) -> Place:
    """Have the store know the project in `folder` and the commits of its branch. Twice does no harm.

    Raises: RunnerError when there is no suite, GitError when there is no repository or no such branch.
    """
    conf = asv_conf.load(folder)
    root = git.repository_root(folder)
    name = settings.project.name or str(conf.get("project") or root.name)
    commit_url = settings.project.commit_url or str(conf.get("show_commit_url") or "")
    branch = settings.project.branch
    line = git.first_parent_line(root, branch)
    with store.writing() as tx:
        project_id = writes.catalog.keep_project(
            tx, name, now=datetime.now(UTC), repository=str(folder), branch=branch, commit_url=commit_url
        )
        if not git.is_shallow(root):
            writes.catalog.keep_line(tx, project_id, line)
    return Place(project_id, name, folder, settings, tuple(commit.hash for commit in line))


def register_runner(store: Store, device: Device, name: str = "") -> tuple[int, str]:
    """Have the store know this machine as a runner for `device`. Its id and name."""
    name = name or machine.default_name(device)
    facts = machine.machine_facts(name)
    with store.writing() as tx:
        return writes.catalog.keep_runner(tx, name, device, facts, now=datetime.now(UTC)), name


def local_runners(store: Store) -> list[str]:
    """The runners that are this machine's, one a device that was ever measured on here."""
    with store.reading() as tx:
        return [row.name for row in queries.runners(tx) if row.name == machine.default_name(row.device)]


def place_of(store: Store, job: JobRow) -> Place:
    """The project of a job, where it lies on this machine. Raises: NotFound when it does not."""
    with store.reading() as tx:
        project = queries.project(tx, job.project)
    folder = Path(project.repository)
    if not project.repository or not (folder / SUITE_FILE).is_file():
        raise NotFound(f"project {job.project!r}: {project.repository or 'no folder'} holds no {SUITE_FILE}")
    return Place(project.id, project.name, folder, Settings.load(folder))


def settings_of(project: ProjectRow) -> Settings:
    """What holds for a project: its own perfsvc.toml where its folder is at hand, else the defaults.

    Raises: SettingsError when that file is broken.
    """
    return Settings.load(project_folder(Path(project.repository)) if project.repository else None)


def newest(place: Place, last: int) -> list[str]:
    """The branch's newest `last` commits, newest first."""
    return list(place.line[len(place.line) - min(last, len(place.line)) :][::-1])


def unmeasured(store: Store, place: Place, runner: str, last: int) -> list[str]:
    """Of the branch's newest `last` commits those without a run on this runner, newest first; else the newest again."""
    recent = newest(place, last)
    with store.reading() as tx:
        have = queries.measured_commits(tx, place.id, runner)
    return [hash_ for hash_ in recent if hash_ not in have] or recent[:1]


def choose(place: Place, revisions: Sequence[str]) -> list[str]:
    """The hashes that people mean by `A..B`, `HEAD~3`, a tag or a hash, newest first. Raises: NotFound when none."""
    found: dict[str, None] = {}
    for revision in revisions:
        for commit in reversed(git.range_commits(place.folder, revision)):
            found[commit.hash] = None
    if not found:
        raise NotFound(f"{place.folder}: {' '.join(revisions)} names no commit; of A..B, B is the newer end")
    return list(found)


def order_here(
    store: Store,
    place: Place,
    runner_id: int,
    kind: JobKind,
    commits: Sequence[str],
    chosen: Selection,
) -> int:
    """Order a job for a runner of this machine that is begun at once, by whoever ordered it."""
    job = jobs.order(
        store,
        project_id=place.id,
        runner_id=runner_id,
        kind=kind,
        spec={"commits": list(commits), "bench": chosen.bench, "grid": chosen.grid, "guards": chosen.guards},
        now=datetime.now(UTC),
        suite_revision=git.resolve(place.folder, "HEAD"),
        delivered=True,
    )
    assert job is not None  # only a schedule's job can have been ordered before
    return job
