"""How many operators does a body dispatch? Exact: one more is a change of the code, on any machine, at any load."""

from benchmarks import observe
from benchmarks.cases import case
from benchmarks.common import measures
from benchmarks.workloads import COUNTED_MODULE_VARIANTS, COUNTED_TRAIN_VARIANTS, GRIDS, grid


class Forward:
    """Operators of one head's forward."""

    params = (COUNTED_MODULE_VARIANTS, GRIDS[grid()]["head"])
    param_names = ("variant", "input")

    @measures("operators", unit="operators", exact=True)
    def track_operators(self, variant: str, name: str) -> int:
        return observe.operators(case("counters.Forward.track_operators", "head", variant, name)).total


class TrainStep:
    """Operators of one training step, backward and optimiser included."""

    params = (COUNTED_TRAIN_VARIANTS, GRIDS[grid()]["train"])
    param_names = ("variant", "input")

    @measures("operators", unit="operators", exact=True)
    def track_operators(self, variant: str, name: str) -> int:
        return observe.operators(case("counters.TrainStep.track_operators", "train", variant, name)).total
