"""Two commits side by side in one sitting: the same suite, each round in fresh processes, case by case in turns.

    with paired.opened(request, "main", "HEAD") as sitting:
        turns = sitting.round(1, sitting.cases)

A round has three processes: base, head, and base again, which is the control: it tells what equal code looks like here
and now. All three import first; then each case goes to and fro between them, in an order that changes from round to
round (turns.py). Two sides are never forked from one server: its children share a bias of 2 to 3 %. The device is held.
"""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perfsvc import git
from perfsvc.errors import NotFound, RunnerError, SettingsError
from perfsvc.formats.facts import read_facts
from perfsvc.formats.junit import read_guards
from perfsvc.model import GuardResult, label
from perfsvc.runner import asv_conf, asv_engine, guards, listing, preparation, processes, trees
from perfsvc.runner.asv_posts import AsvPost
from perfsvc.runner.events import Progress, Stage, Watch
from perfsvc.runner.listing import Listed
from perfsvc.runner.posts import Measures, Post
from perfsvc.runner.request import Prepared, Request
from perfsvc.runner.turns import ORDERS, Case, Seat, Turn, take
from perfsvc.runner.workspace import Workspace
from perfsvc.runner.workspace import opened as workspace_opened
from perfsvc.settings import PROJECT_FILE, Settings

GUARDS_FILE = "guards.xml"
NAMED = 5  #: benchmarks that an error names; the rest it counts


@dataclass(frozen=True, slots=True)
class Side:
    """A commit, where it lies, and what it is measured in."""

    seat: Seat
    commit: str
    tree: Path
    python: Path
    lock: str  #: the environment's name: where the two differ, more than the code is compared


@dataclass(slots=True)
class Sitting:
    """Both commits ready to be measured. `cases`: what both sides have; `lacking`: what only one has, by label."""

    prepared: Prepared
    workspace: Workspace
    scratch: Path
    sides: Mapping[Seat, Side]
    watch: Watch
    by_asv: bool = False
    cases: tuple[Case, ...] = ()
    lacking: tuple[tuple[str, str], ...] = ()  #: label, and why it is not compared
    warnings: tuple[str, ...] = ()
    operators: Mapping[Seat, Mapping[str, Mapping[str, int]]] | None = None  #: by label, once a round has been

    def round(
        self, number: int, cases: Sequence[Case], *, told: Callable[[int, str], None] = lambda *_: None
    ) -> dict[str, Turn]:
        """One round of these cases, by label. Exact ones have no control. `told`: how many are done, and what is next.

        Raises: Interrupted; RunnerError when a side measured another tree than its own.
        """
        first = self.operators is None
        order = ORDERS[(number - 1) % len(ORDERS)]
        wanted = [seat for seat in order if any(case.sits(seat) for case in cases)]
        names = sorted({case.benchmark.name for case in cases})
        turns: dict[str, Turn] = {}
        with contextlib.ExitStack() as stack:
            posts = {seat: stack.enter_context(self._post(seat, facts=first)) for seat in wanted}
            for post in posts.values():
                post.begin(names)
            for post in posts.values():
                post.begun()
            for done, case in enumerate(cases):
                told(done, case.label)
                turns[case.label] = take(case, posts)
        if first:
            self.operators = {seat: self._facts(seat) for seat in (Seat.BASE, Seat.HEAD)}
        return turns

    def guards(self) -> tuple[dict[Seat, tuple[GuardResult, ...]], tuple[str, ...]]:
        """The correctness tests against both sides, and what kept some from running. Raises: Interrupted."""
        results, said = {}, []
        for seat in (Seat.BASE, Seat.HEAD):
            results[seat], messages = self._guards(self.sides[seat])
            said += [f"{seat}: {message}" for message in messages]
        return results, tuple(said)

    def _guards(self, side: Side) -> tuple[tuple[GuardResult, ...], tuple[str, ...]]:
        request = self.prepared.request
        place = self.scratch / f"guards-{side.seat}"
        place.mkdir()
        order = guards.Order(
            command=request.guard_command,
            suite=self.prepared.suite,
            tree=side.tree,
            scratch=self.scratch,
            bundle=place,
            python=side.python,
            device=request.device,
            variables={**self.prepared.variables, "PERFSVC_EXPECT": str(side.tree)},
            timeout=request.settings.guards.timeout,
            leash=self.workspace.leash,
        )
        with self.watch.stage(Stage.GUARDS, f"of {side.seat}"):
            messages = guards.run(order, cancelled=self.watch.cancelled, log=lambda _: None)
        written = place / GUARDS_FILE
        results = read_guards(written.read_bytes(), str(side.seat)) if written.is_file() else ()
        return results, tuple(str(message) for message in messages)

    def _post(self, seat: Seat, *, facts: bool = False, suite: Path | None = None) -> Measures:
        side, request = self.sides[Seat.HEAD if seat is Seat.HEAD else Seat.BASE], self.prepared.request
        told = {"PERFSVC_FACTS": str(self._facts_file(seat))} if facts else {}
        variables = {**self.prepared.variables, "PERFSVC_EXPECT": str(side.tree), **told}
        place = self.scratch / f"{seat.replace(' ', '-')}{'-own' if suite else ''}"
        place.mkdir(exist_ok=True)
        if self.by_asv:
            return AsvPost(self._asv_order(side, suite, variables, place), self.watch.cancelled)
        return Post(
            python=side.python,
            suite=suite or self.prepared.benchmarks,
            method=request.launch_method,
            variables={**variables, "PYTHONPATH": trees.search_path(side.tree)},
            place=place,
            timeout=self._usual_timeout,
            leash=self.workspace.leash,
            cancelled=self.watch.cancelled,
        )

    def _asv_order(self, side: Side, suite: Path | None, variables: Mapping[str, str], place: Path) -> asv_engine.Order:
        request = self.prepared.request
        return asv_engine.Order(
            commit=side.commit,
            conf=self.prepared.conf,
            suite=suite or self.prepared.benchmarks,
            tree=side.tree,
            mirror=self.workspace.mirror,
            scratch=place,
            bundle=place,
            python=side.python,
            python_version=platform.python_version(),
            env_name=side.lock,
            runner=request.name,
            variables=variables,
            rounds=1,
            launch_method=request.launch_method,
            timeout=request.settings.measure.timeout,
            leash=self.workspace.leash,
            bench=request.bench,
        )

    @property
    def _usual_timeout(self) -> float:
        return float(self.prepared.conf.get("default_benchmark_timeout", 60.0))

    def _facts_file(self, seat: Seat) -> Path:
        return self.scratch / f"{seat.replace(' ', '-')}-facts.jsonl"

    def _facts(self, seat: Seat) -> dict[str, Mapping[str, int]]:
        """Operators by label; and a check of where the measured package came from."""
        file = self._facts_file(seat)
        if not file.is_file():
            return {}
        trees.check_facts(file, self.sides[seat].tree)
        told, _ = read_facts(file.read_bytes(), str(seat))
        return {label(fact.benchmark, fact.params): fact.operators for fact in told if fact.operators}

    def look_up(self) -> None:
        """Ask both sides what they have, and choose. Raises: NotFound when nothing fits, RunnerError, Interrupted."""
        bench = self.prepared.request.bench
        wanted = listing.chooser(bench)
        listed, said = self._listed()
        base, head, own = ({name: case for name, case in of.items() if wanted(name)} for of in listed)
        if not base and not head:
            raise NotFound(f"--bench {bench}: matches none of {_some(sorted({**listed[0], **listed[1]}))}")
        self.cases = tuple(self._case(name, base[name], head[name]) for name in head if name in base)
        only = [(name, f"only {Seat.HEAD} has this case") for name in head if name not in base]
        only += [(name, f"only {Seat.BASE} has this case") for name in base if name not in head]
        only += [(name, f"only {Seat.BASE}'s own suite has it") for name in own if name not in {**base, **head}]
        self.lacking, self.warnings = tuple(only), (*self.prepared.warnings, *said)

    def _case(self, name: str, base: Listed, head: Listed) -> Case:
        metric = self.prepared.request.settings.metric(name, head.benchmark.metric)
        return Case(head.benchmark, head.params, metric, head.timeout, base.index, head.index)

    def _listed(self) -> tuple[tuple[dict[str, Listed], ...], list[str]]:
        """By label: the suite's cases against base, and head; and what base's own suite has. All import at once.

        What left the suite is not silence. What cannot be imported is said, unless it is all of it.
        """
        sides, said, found = self.sides, [], []
        own = sides[Seat.BASE].tree / self.prepared.benchmarks.relative_to(self.workspace.place / "suite")
        asked = [(sides[Seat.BASE], None), (sides[Seat.HEAD], None), (sides[Seat.BASE], own)]
        with contextlib.ExitStack() as stack:
            posts = [stack.enter_context(self._post(side.seat, suite=suite)) for side, suite in asked]
            for post in posts:
                post.ask_what_is_there()
            for (side, suite), post in zip(asked, posts, strict=True):
                told, printed = post.what_is_there()
                if not suite and not told:
                    raise RunnerError(f"{side.seat} ({side.commit[:12]}): no benchmark imports:\n{printed}")
                if not suite and "Traceback" in printed:
                    said.append(f"{side.seat}: a part of the suite cannot be imported: {printed.splitlines()[-1]}")
                found.append(listing.cases(told, self._usual_timeout))
        return tuple(found), said


@contextlib.contextmanager
def opened(
    request: Request,
    base: str,
    head: str,
    *,
    suite: str = "",
    by_asv: bool = False,
    progress: Callable[[Progress], None] = lambda _: None,
    cancelled: processes.Cancelled = lambda: False,
) -> Iterator[Sitting]:
    """Check both commits out, build their environments, and look their benchmarks up.

    suite: whose benchmarks are run; default, the head's. by_asv: measure by asv's command line, not by our driver.

    Raises: GitError for an unknown commit, NotFound when no benchmark fits, RunnerError, Interrupted.
    """
    listing.chooser(request.bench)
    root = git.repository_root(request.folder)
    hashes = {Seat.BASE: git.resolve(root, base), Seat.HEAD: git.resolve(root, head)}
    revision = git.resolve(root, suite) if suite else hashes[Seat.HEAD]
    conf = asv_conf.load(request.folder)
    watch = Watch(1, progress, cancelled)
    watch.tell(text=str(root))
    name = str(conf.get("project", root.name))
    with contextlib.ExitStack() as stack:
        workspace = stack.enter_context(workspace_opened(request.settings.home, root, name, request.device))
        prepared = preparation.prepare(request, workspace, revision, root, watch)
        scratch = stack.enter_context(workspace.scratch())
        stack.callback(processes.sweep, workspace.leash)
        sides = {}
        for seat, commit in hashes.items():
            with watch.stage(Stage.CHECKOUT):
                tree = stack.enter_context(workspace.commit(commit, str(seat)))
            sides[seat] = _side(seat, commit, tree, prepared, workspace, watch)
        sitting = Sitting(prepared, workspace, scratch, sides, watch, by_asv)
        watch.tell(stage=Stage.BENCHMARKS, text="what is there to compare")
        sitting.look_up()
        yield sitting


def _side(seat: Seat, commit: str, tree: Path, prepared: Prepared, workspace: Workspace, watch: Watch) -> Side:
    """In the environment that the commit itself orders: equal locks share one."""
    request = prepared.request
    folder = tree / prepared.suite.relative_to(workspace.place / "suite")
    lock = preparation.ordered(request, *own(folder, request.settings, prepared.conf))
    python = preparation.built(request, lock, workspace, watch)
    trees.check_imports(python, prepared.variables, tree, prepared.names)
    return Side(seat, commit, tree, python, lock.name)


def own(folder: Path, settings: Settings, conf: Mapping[str, Any]) -> tuple[Settings, Mapping[str, Any]]:
    """The commit's settings and asv.conf.json; today's where it has none, or has some that cannot be read today."""
    with contextlib.suppress(SettingsError):
        settings = Settings.load(folder) if (folder / PROJECT_FILE).is_file() else settings
    with contextlib.suppress(RunnerError):
        conf = asv_conf.load(folder)
    return settings, conf


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
