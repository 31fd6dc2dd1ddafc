"""Which commit of a range made it slower? Its ends are compared, then the middle of what is left, again and again.

Each middle is measured beside the good end in one sitting, with the size of the whole change as the minimum effect: it
has the change, or it has not, or nobody can tell, and the plan (experiments/bisection.py) goes around it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from perfsvc import git
from perfsvc.errors import NotFound, RunnerError
from perfsvc.experiments import LOOKS, Side, next_step
from perfsvc.model import Commit
from perfsvc.runner.processes import Cancelled, Interrupted
from perfsvc.runner.request import Request
from perfsvc.work.comparing import MINIMUM_EFFECT, Compared, Verdict, compare
from perfsvc.work.doing import Show

#: Verdicts that have a commit to be blamed for.
SOUGHT = frozenset({Verdict.FAILS, Verdict.SLOWER, Verdict.CHANGED})


@dataclass(frozen=True, slots=True)
class Tried:
    """A commit between the ends, and what was found of it."""

    commit: Commit
    side: Side
    reason: str


@dataclass(frozen=True, slots=True)
class Bisected:
    """`suspects`: oldest first; the only one made the change, and none are there where the ends do not differ."""

    sought: Compared  #: the benchmark that was followed, good end against bad end
    suspects: tuple[Commit, ...]
    tried: tuple[Tried, ...]
    reason: str


def bisect(
    request: Request,
    good: str,
    bad: str,
    *,
    pairs: int = LOOKS[-1],
    progress: Show = lambda _: None,
    cancelled: Cancelled = lambda: False,
    each: Callable[[Tried], None] = lambda _: None,
) -> Bisected:
    """Follow the worst benchmark that `request.bench` takes along first parents. `each` hears of every commit tried.

    Raises: GitError, NotFound when no commit lies between, RunnerError when the ends cannot be measured, Interrupted.
    """
    root = git.repository_root(request.folder)
    commits = {commit.hash: commit for commit in git.range_commits(root, f"{good}..{bad}")}
    if not commits:
        raise NotFound(f"{good}..{bad}: has no commit; of A..B, B is the newer end")
    ends = git.resolve(root, good), git.resolve(root, bad)
    first = compare(request, *ends, pairs=pairs, progress=progress, cancelled=cancelled)
    sought = first.rows[0]
    if sought.verdict not in SOUGHT:
        return Bisected(sought, (), (), f"the ends do not differ for the worse: {sought.label} is {sought.verdict}")
    narrow = replace(request, bench=f"^{re.escape(sought.label)}$", guards=False)
    effect, tried = size(sought), list[Tried]()
    while (step := next_step([ends[0], *commits], {one.commit.hash: one.side for one in tried})).build:
        try:
            told = compare(
                narrow,
                ends[0],
                step.build,
                suite=ends[1],
                minimum_effect=effect,
                pairs=pairs,
                progress=progress,
                cancelled=cancelled,
            ).rows[0]
            found = Tried(commits[step.build], side_of(told.verdict, sought.verdict), told.reason)
        except Interrupted:
            raise
        except RunnerError as error:
            found = Tried(commits[step.build], Side.UNBUILDABLE, str(error))
        tried.append(found)
        each(found)
    return Bisected(sought, tuple(commits[hash_] for hash_ in step.suspects), tuple(tried), step.reason)


def size(sought: Compared) -> float:
    """The change as a fraction of the smaller level; where there is no such ratio, what any comparison looks for."""
    if not sought.ratio or not math.isfinite(sought.ratio):
        return MINIMUM_EFFECT
    return max(sought.ratio, 1 / sought.ratio) - 1.0


def side_of(verdict: Verdict, sought: Verdict) -> Side:
    """Where a commit stands by its comparison with the good end, when `sought` was said of the bad end."""
    if verdict is sought:
        return Side.BAD
    if verdict in (Verdict.SAME, Verdict.FASTER, Verdict.SLOWER, Verdict.CHANGED):
        return Side.GOOD  # it runs, and has not changed in the way that is sought
    return Side.UNDECIDED if verdict is Verdict.UNDECIDED else Side.UNBUILDABLE
