"""What all commits of a measurement have in common: the suite, the environment, the state of the machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from perfsvc.model import Environment
from perfsvc.runner import asv_conf, environments, guards, machine, trees
from perfsvc.runner.events import Stage, Watch
from perfsvc.runner.request import Prepared, Request
from perfsvc.runner.variables import suite_variables
from perfsvc.runner.workspace import Workspace
from perfsvc.settings import Settings


def prepare(request: Request, workspace: Workspace, suite_revision: str, root: Path, watch: Watch) -> Prepared:
    """Suite, environment, and the machine's state, once for all commits. The fingerprint is `fingerprinted`'s."""
    tree = workspace.suite(suite_revision)
    suite = tree / request.folder.resolve().relative_to(root.resolve())
    conf = asv_conf.load(suite)  # as of the suite revision, not of the working tree
    benchmarks = asv_conf.suite_folder(conf, suite)
    keep = {benchmarks.relative_to(tree).parts[0], *guards.own_folders(request.guard_command, suite)}
    names = frozenset(trees.imported_names(benchmarks) & trees.importable(tree).keys()) - keep
    trees.make_room(tree, keep)
    lock = ordered(request, request.settings, conf)
    python = built(request, lock, workspace, watch)
    with watch.stage(Stage.PREFLIGHT):
        judged = machine.preflight(machine.readings(workspace.home, request.device))
        warnings = (*judged.defer, *judged.warn)
        watch.tell(text="; ".join(warnings))
    return Prepared(
        request=request,
        project=request.settings.project.name or str(conf.get("project", root.name)),
        conf=conf,
        suite=suite,
        benchmarks=benchmarks,
        suite_revision=suite_revision,
        python=python,
        environment=Environment(lock=lock.told()),
        env_name=lock.name,
        variables=suite_variables(request.device, request.grid, request.settings.environment.variables, conf),
        names=names,
        warnings=warnings,
    )


def fingerprinted(prepared: Prepared, watch: Watch) -> Prepared:
    """With what is found in its environment. Cost: what the environment's packages take to import."""
    with watch.stage(Stage.FINGERPRINT):
        found = machine.fingerprint(prepared.python, prepared.variables, prepared.request.device)
    return replace(prepared, environment=replace(prepared.environment, fingerprint=found))


def ordered(request: Request, settings: Settings, conf: Mapping[str, Any]) -> environments.Lock:
    """The lock that these settings order, unless an interpreter was named that is measured in as it is."""
    return environments.AS_FOUND if request.python else environments.ordered(settings, conf)


def built(request: Request, lock: environments.Lock, workspace: Workspace, watch: Watch) -> Path:
    """The python of the lock's environment. Raises: RunnerError with pip's last lines, Interrupted."""
    with watch.stage(Stage.ENVIRONMENT):
        return request.python or environments.ready(
            workspace.home,
            lock,
            leash=workspace.leash,
            cancelled=watch.cancelled,
            each_line=lambda line: watch.tell(text=line),
        )
