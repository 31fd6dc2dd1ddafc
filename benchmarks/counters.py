"""How many operators does a body dispatch? Exact: one more is a change of the code, on any machine, at any load."""

from benchmarks import observe
from benchmarks.cases import case
from benchmarks.common import measures, runs


@runs("head counted")
class Forward:
    """Operators of one head's forward."""

    @measures("operators", unit="operators", exact=True)
    def track_operators(self, variant: str, name: str) -> int:
        return observe.operators(case("counters.Forward.track_operators", "head", variant, name)).total


@runs("kernel counted")
class Kernels:
    """Operators of a causal kernel's forward."""

    @measures("operators", unit="operators", exact=True)
    def track_operators(self, variant: str, name: str) -> int:
        return observe.operators(case("counters.Kernels.track_operators", "kernel", variant, name)).total


@runs("backward counted")
class Backward:
    """Operators of a causal kernel's forward and backward."""

    @measures("operators", unit="operators", exact=True)
    def track_operators(self, variant: str, name: str) -> int:
        return observe.operators(case("counters.Backward.track_operators", "backward", variant, name)).total


@runs("decode counted")
class Decode:
    """Operators of one query beside a context."""

    @measures("operators", unit="operators", exact=True)
    def track_operators(self, variant: str, name: str) -> int:
        return observe.operators(case("counters.Decode.track_operators", "decode", variant, name)).total


@runs("local counted")
class Local:
    """Operators of a window of positions."""

    @measures("operators", unit="operators", exact=True)
    def track_operators(self, variant: str, name: str) -> int:
        return observe.operators(case("counters.Local.track_operators", "local", variant, name)).total


@runs("rotary counted")
class Rotary:
    """Operators of turning queries by their positions."""

    @measures("operators", unit="operators", exact=True)
    def track_operators(self, variant: str, name: str) -> int:
        return observe.operators(case("counters.Rotary.track_operators", "rotary", variant, name)).total


@runs("cache counted")
class Cache:
    """Operators of a decode step through a cache."""

    @measures("operators", unit="operators", exact=True)
    def track_operators(self, variant: str, name: str) -> int:
        return observe.operators(case("counters.Cache.track_operators", "cache", variant, name)).total


@runs("train counted")
class TrainStep:
    """Operators of one training step, backward and optimiser included."""

    @measures("operators", unit="operators", exact=True)
    def track_operators(self, variant: str, name: str) -> int:
        return observe.operators(case("counters.TrainStep.track_operators", "train", variant, name)).total
