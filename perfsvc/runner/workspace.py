"""The runner's folders under PERFSVC_HOME: a mirror per repository, and worktrees that live as long as one measurement.

mirrors/<project>-<digest>.git      environments/<digest>      locks/<device>.lock      bundles/<run>
work/<device>/<leash>/{suite,commit,scratch}      removed at the end; after a kill, at the next start
"""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from perfsvc import git
from perfsvc.errors import GitError
from perfsvc.model import Device, content_hash
from perfsvc.runner import processes
from perfsvc.runner.locks import device_lock, held


@dataclass(frozen=True, slots=True)
class Workspace:
    """A mirror, and a folder of our own beside which nobody else works."""

    home: Path
    mirror: Path
    place: Path
    leash: str  #: carried by every process of this measurement; also the name of `place`

    def suite(self, revision: str) -> Path:
        """Check the suite revision out. Its tree is ours to change."""
        return self._checked_out(self.place / "suite", revision)

    @contextlib.contextmanager
    def commit(self, commit: str, name: str = "commit") -> Iterator[Path]:
        """The commit's own tree, for as long as it is measured."""
        path = self._checked_out(self.place / name, commit)
        try:
            yield path
        finally:
            git.remove_worktree(self.mirror, path)

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        path = self.place / "scratch"
        path.mkdir(parents=True)
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def _checked_out(self, path: Path, commit: str) -> Path:
        if not git.commits(self.mirror, [commit]):
            wanted = f"a branch or a tag that has it: git branch NAME {commit[:12]}"
            raise GitError(
                f"{commit[:12]}: is on no branch and no tag, so the runner's mirror lacks it; wanted {wanted}"
            )
        git.add_worktree(self.mirror, path, commit)
        return path

    @property
    def bundles(self) -> Path:
        return self.home / "bundles"


@contextlib.contextmanager
def opened(home: Path, source: Path | str, project: str, device: Device) -> Iterator[Workspace]:
    """Take the device, bring the mirror up to date, clear what a killed run left behind, and hand out a folder.

    Raises: RunnerError when the device is taken, GitError when the source cannot be reached.
    """
    home = home.resolve()
    with device_lock(home, device):
        mirror = home / "mirrors" / f"{_safe(project)}-{content_hash(str(source).encode())[:8]}.git"
        with held(home / "locks" / f"{mirror.name}.lock", wait=True):
            git.mirror(source, mirror)
        clear(home, mirror, device)
        leash = processes.new_leash()
        workspace = Workspace(home, mirror, home / "work" / device / leash, leash)
        workspace.place.mkdir(parents=True)
        try:
            yield workspace
        finally:
            _remove(mirror, workspace.place)


def clear(home: Path, mirror: Path, device: Device) -> int:
    """End the processes and remove the folders of measurements that were killed. The device must be held."""
    places = [path for path in (home / "work" / device).glob("*") if path.is_dir()]
    for place in places:
        processes.sweep(place.name)
        _remove(mirror, place)
    return len(places)


def _remove(mirror: Path, place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    git.remove_worktree(mirror, place / "suite")  # nothing is there any more; git forgets all that are gone


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.") or "project"
