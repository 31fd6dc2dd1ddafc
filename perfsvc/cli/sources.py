"""Whose results they are: the project that a path belongs to, its settings, the repository that orders its commits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from perfsvc import formats, git
from perfsvc.cli.output import note
from perfsvc.errors import GitError, ResultFormatError, RunnerError
from perfsvc.model import Commit
from perfsvc.runner import asv_conf
from perfsvc.settings import SUITE_FILE, Settings, project_folder
from perfsvc.store import Store, writes

#: Folders that every project has: they name none.
NAMELESS = frozenset({"results", ".asv", "asv", "benchmarks", "asv_bench", ".benchmarks", "bundles", ""})


@dataclass(frozen=True, slots=True)
class Source:
    """Whose results they are. `root`: the repository that tells the order of commits, if it is at hand."""

    name: str
    root: Path | None
    settings: Settings

    @property
    def repository(self) -> str:
        """What the project's row names: in the repository, the folder with the suite and its settings."""
        folder = self.settings.folder
        inside = folder is not None and self.root is not None and folder.is_relative_to(self.root)
        return str((folder if inside else self.root) or "")

    @property
    def naming(self) -> formats.Naming:
        return formats.Naming(self.settings.ingest)


def of_results(path: Path, project: str, repository: Path | None) -> Source:
    """What is known of the results' project: from their bundle, or from the asv.conf.json whose results they are."""
    folder = _own_folder(path)
    root = git.repository_root(repository) if repository is not None else None
    if root is None and folder is not None:
        root = _repository_beside(folder)
    if folder is None and root is not None:
        folder = project_folder(root)
    settings = Settings.load(folder)
    told = project or settings.project.name
    name = told or _bundle_project(path) or suite_project(folder) or _folder_name(path)
    return Source(name, root, settings)


def of_folder(place: Path, project: str) -> Source:
    """The project that one stands in. Raises: GitError when there is no repository."""
    root = git.repository_root(place)
    folder = project_folder(place.resolve())
    settings = Settings.load(folder)
    name = project or settings.project.name or suite_project(folder) or root.name
    return Source(name, root, settings)


def suite_project(folder: Path | None) -> str:
    """What asv.conf.json calls the project, or nothing."""
    try:
        return str(asv_conf.load(folder).get("project") or "") if folder is not None else ""
    except RunnerError:
        return ""


def find_commit(repository: Path, revision: str) -> Commit:
    """The commit that somebody named. Raises: GitError when there is no repository, or it has no such commit."""
    (commit,) = git.commits(repository, [git.resolve(repository, revision)])
    return commit


def keep_project(store: Store, source: Source, branch: str = "") -> int:
    """The project's row, with the order of its commits where git can tell it.

    Raises: GitError naming the branches there are, when the branch is none and the choice is not plain.
    """
    chosen = branch or source.settings.project.branch
    line = []
    if source.root is None:
        note("note: no repository at hand: commits are ordered by date; --repository PATH names it")
    else:
        only = git.branches(source.root)
        if chosen not in only and not branch and len(only) == 1:
            chosen = only[0]
        line = git.first_parent_line(source.root, chosen)
        if git.is_shallow(source.root):
            note(
                f"note: {source.root} is a shallow clone: commits are ordered by date; `git fetch --unshallow` mends it"
            )
    with store.writing() as tx:
        project_id = writes.catalog.keep_project(
            tx, source.name, now=datetime.now(UTC), repository=source.repository, branch=chosen
        )
        writes.catalog.keep_line(tx, project_id, [c for c in line if c.position is not None])
    return project_id


def _own_folder(path: Path) -> Path | None:
    """The project's folder whose results these are, as its asv.conf.json says; not just any folder above them.

    Where there is only a perfsvc.toml, everything below it is the project's.
    """
    place = path.resolve()
    folder = project_folder(place if place.is_dir() else place.parent)
    if folder is None or not (folder / SUITE_FILE).is_file():
        return folder
    try:
        results = (folder / str(asv_conf.load(folder).get("results_dir", "results"))).resolve()
    except RunnerError as error:
        note(f"note: {error}")
        return None
    return folder if place.is_relative_to(results) or results.is_relative_to(place) else None


def _repository_beside(folder: Path) -> Path | None:
    try:
        local = folder / str(asv_conf.load(folder).get("repo", ""))
        return git.repository_root(local) if local.is_dir() else None
    except (RunnerError, GitError):
        return None


def _bundle_project(path: Path) -> str:
    try:
        return formats.read_manifest(path).project if (path / "bundle.json").is_file() else ""
    except ResultFormatError:
        return ""


def _folder_name(path: Path) -> str:
    place = path.resolve()
    names = (each.name for each in (place, *place.parents) if not each.is_file())
    return next((name for name in names if name.lower() not in NAMELESS), "project")
