"""One run: the commit's tree, guards, benchmarks, a canary on either side, and the bundle of what came of it."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from perfsvc import git
from perfsvc.formats.manifest import Manifest, write_manifest
from perfsvc.runner import asv_engine, guards, machine, processes, trees
from perfsvc.runner.asv_results import Message
from perfsvc.runner.events import Stage, Watch
from perfsvc.runner.request import Prepared
from perfsvc.runner.workspace import Workspace

#: A canary that moved by more than this says so in the run's messages: the machine changed while it was measured.
CANARY_MOVED = 0.20


def run(commit: str, prepared: Prepared, workspace: Workspace, watch: Watch) -> Path:
    """Measure one commit. Returns the bundle's folder, which appears under its name only when it is complete.

    Raises: RunnerError with what went wrong, GitError, Interrupted.
    """
    started = datetime.now(UTC)
    with workspace.scratch() as scratch, contextlib.ExitStack() as stack:
        with watch.stage(Stage.CHECKOUT):
            tree = stack.enter_context(workspace.commit(commit))
            trees.check_imports(prepared.python, prepared.variables, tree, prepared.names)
        bundle = scratch / "bundle"
        bundle.mkdir()
        log = stack.enter_context(_log(bundle / "log.txt"))
        one = _Run(commit, prepared, workspace, watch, tree, scratch, bundle, log)
        before = one.state()
        messages = (*one.run_guards(), *one.run_benchmarks())
        after = one.state()
        one.write(started, before, after, messages)
        name = f"{started:%Y%m%dT%H%M%S}-{commit[:12]}-{workspace.leash}"
        workspace.bundles.mkdir(parents=True, exist_ok=True)
        return bundle.rename(workspace.bundles / name)


@dataclass(frozen=True, slots=True)
class _State:
    readings: dict[str, Any]
    canary: dict[str, float]


@dataclass(frozen=True, slots=True)
class _Run:
    commit: str
    prepared: Prepared
    workspace: Workspace
    watch: Watch
    tree: Path
    scratch: Path
    bundle: Path
    log: processes.LineSink

    @property
    def variables(self) -> dict[str, str]:
        told = {"PERFSVC_FACTS": str(self.bundle / "facts.jsonl"), "PERFSVC_EXPECT": str(self.tree)}
        return {**self.prepared.variables, **told}

    def state(self) -> _State:
        with self.watch.stage(Stage.CANARY):
            readings = machine.readings(self.workspace.home, self.prepared.request.device)
            return _State(readings, machine.canary())

    def run_guards(self) -> tuple[Message, ...]:
        request = self.prepared.request
        if not request.guard_command:
            return ()
        order = guards.Order(
            command=request.guard_command,
            suite=self.prepared.suite,
            tree=self.tree,
            scratch=self.scratch,
            bundle=self.bundle,
            python=self.prepared.python,
            device=request.device,
            variables=self.variables,
            timeout=request.settings.guards.timeout,
            leash=self.workspace.leash,
        )
        with self.watch.stage(Stage.GUARDS):
            return guards.run(order, cancelled=self.watch.cancelled, log=self.log)

    def run_benchmarks(self) -> tuple[Message, ...]:
        request = self.prepared.request
        order = asv_engine.Order(
            commit=self.commit,
            conf=self.prepared.conf,
            suite=self.prepared.benchmarks,
            tree=self.tree,
            mirror=self.workspace.mirror,
            scratch=self.scratch,
            bundle=self.bundle,
            python=self.prepared.python,
            python_version=self.prepared.environment.fingerprint["python"]["version"],
            env_name=self.prepared.env_name,
            runner=request.name,
            variables=self.variables,
            rounds=request.all_rounds,
            launch_method=request.launch_method,
            timeout=request.settings.measure.timeout,
            leash=self.workspace.leash,
            bench=request.bench,
        )
        with self.watch.stage(Stage.BENCHMARKS):
            return asv_engine.measure(order, told=self.watch.count, cancelled=self.watch.cancelled, log=self.log)

    def write(self, started: datetime, before: _State, after: _State, messages: tuple[Message, ...]) -> None:
        """bundle.json: what is known of the run beside its numbers."""
        request, prepared = self.prepared.request, self.prepared
        (commit,) = git.commits(self.workspace.mirror, [self.commit])
        said = (*prepared.warnings, *_moved(before.canary, after.canary), *(str(message) for message in messages))
        manifest = Manifest(
            project=prepared.project,
            machine=request.name,
            device=str(request.device),
            commit=commit,
            suite_revision=prepared.suite_revision,
            environment=prepared.environment,
            started_at=started,
            duration=(datetime.now(UTC) - started).total_seconds(),
            readings={"before": before.readings, "after": after.readings},
            canary={"before": before.canary, "after": after.canary},
            job=request.job,
            attempt=request.attempt,
            messages=said,
        )
        write_manifest(self.bundle, manifest)


def _moved(before: dict[str, float], after: dict[str, float]) -> tuple[str, ...]:
    return tuple(
        f"canary: {name} took {after[name] / before[name]:.2f} times as long after the run as before it"
        for name in before
        if not name.endswith("_cpu") and abs(math.log(after[name] / before[name])) > CANARY_MOVED
    )


@contextlib.contextmanager
def _log(path: Path) -> Iterator[processes.LineSink]:
    with path.open("w", encoding="utf-8") as file:
        yield lambda line: print(line, file=file)
