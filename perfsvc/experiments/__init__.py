"""Two commits side by side, and the plan that finds one commit in a range. Pure: the runner does the measuring."""

from __future__ import annotations

from perfsvc.experiments.ab import LOOKS, Judgement, Pair, judge
from perfsvc.experiments.bisection import BisectStep, Side, next_step

__all__ = ["LOOKS", "BisectStep", "Judgement", "Pair", "Side", "judge", "next_step"]
