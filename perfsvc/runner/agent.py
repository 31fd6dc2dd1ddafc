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
from perfsvc.model import Environment
from perfsvc.runner import asv_conf, asv_results, environments, guards, machine, processes, run, trees
from perfsvc.runner.events import Failed, Measured, Progress, Result, Stage, Watch
from perfsvc.runner.request import Prepared, Request
from perfsvc.runner.variables import suite_variables
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
        prepared = _prepare(request, workspace, suite_revision, root, watch)
        for index, commit in enumerate(hashes):
            yield commit if isinstance(commit, Failed) else _measure_one(commit, index, prepared, workspace, watch)


def _prepare(request: Request, workspace: Workspace, suite_revision: str, root: Path, watch: Watch) -> Prepared:
    """Suite, environment, fingerprint, and the machine's state, once for all commits."""
    tree = workspace.suite(suite_revision)
    suite = tree / request.folder.resolve().relative_to(root.resolve())
    conf = asv_conf.load(suite)  # as of the suite revision, not of the working tree
    benchmarks = asv_conf.suite_folder(conf, suite)
    keep = {benchmarks.relative_to(tree).parts[0], *guards.own_folders(request.guard_command, suite)}
    names = frozenset(trees.imported_names(benchmarks) & trees.importable(tree).keys()) - keep
    trees.make_room(tree, keep)
    with watch.stage(Stage.ENVIRONMENT):
        lock = environments.AS_FOUND if request.python else environments.ordered(request.settings, conf)
        python = request.python or _environment(lock, workspace, watch)
    with watch.stage(Stage.PREFLIGHT):
        judged = machine.preflight(machine.readings(workspace.home, request.device))
        warnings = (*judged.defer, *judged.warn)
        watch.tell(text="; ".join(warnings))
    with watch.stage(Stage.FINGERPRINT):
        variables = suite_variables(request.device, request.grid, request.settings.environment.variables, conf)
        found = machine.fingerprint(python, variables, request.device)
    return Prepared(
        request=request,
        project=request.settings.project.name or str(conf.get("project", root.name)),
        conf=conf,
        suite=suite,
        benchmarks=benchmarks,
        suite_revision=suite_revision,
        python=python,
        environment=Environment(lock=lock.told(), fingerprint=found),
        env_name=lock.name,
        variables=variables,
        names=names,
        warnings=warnings,
    )


def _environment(lock: environments.Lock, workspace: Workspace, watch: Watch) -> Path:
    return environments.ready(
        workspace.home,
        lock,
        leash=workspace.leash,
        cancelled=watch.cancelled,
        each_line=lambda line: watch.tell(text=line),
    )


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
