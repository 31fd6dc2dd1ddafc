"""Measure commits here and now: the steps in their order, for one commit after another, one bundle per run.

    for result in agent.measure(agent.Request(folder, settings), commits):
        ...  # Measured(commit, bundle) or Failed(commit, reason)

The device is held for the whole list. What is yielded is complete; what was cancelled leaves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from perfsvc import git
from perfsvc.errors import PerfsvcError
from perfsvc.runner import asv_conf, asv_results, preparation, processes, run
from perfsvc.runner.events import Failed, Measured, Progress, Result, Stage, Watch
from perfsvc.runner.request import Prepared, Request
from perfsvc.runner.workspace import Workspace, opened

__all__ = ["Failed", "Measured", "Progress", "Request", "Result", "Stage", "measure"]


def measure(
    request: Request,
    commits: Sequence[str],
    *,
    progress: Callable[[Progress], None] = lambda _: None,
    cancelled: processes.Cancelled = lambda: False,
) -> Iterator[Result]:
    """Measure `commits` (any names git knows) in their order and yield each as soon as it is done.

    Raises: RunnerError when nothing can be measured at all (device taken, no suite, environment that cannot be built),
    GitError; Interrupted once `cancelled` says so, and by then no process is left.
    """
    asv_results.check_regex(request.bench)
    conf = asv_conf.load(request.folder)
    root = git.repository_root(request.folder)
    suite_revision = git.resolve(root, request.suite)
    hashes = [_named(root, commit) for commit in commits]
    watch = Watch(len(commits), progress, cancelled)
    watch.tell(text=str(root))
    with opened(request.settings.home, root, str(conf.get("project", root.name)), request.device) as workspace:
        prepared = preparation.prepare(request, workspace, suite_revision, root, watch)
        prepared = preparation.fingerprinted(prepared, watch)
        for index, commit in enumerate(hashes):
            yield commit if isinstance(commit, Failed) else _measure_one(commit, index, prepared, workspace, watch)


def _measure_one(commit: str, index: int, prepared: Prepared, workspace: Workspace, watch: Watch) -> Result:
    """Whatever other people's code did wrong ends here, as a reason."""
    watch.begin(commit, index)
    try:
        bundle = run.run(commit, prepared, workspace, watch)
    except processes.Interrupted:
        raise
    except (PerfsvcError, OSError) as error:  # a full disk, too
        return Failed(commit, str(error), dict(watch.seconds))
    return Measured(commit, bundle, dict(watch.seconds))


def _named(root: Path, commit: str) -> str | Failed:
    try:
        return git.resolve(root, commit)
    except PerfsvcError as error:
        return Failed(commit, str(error))
