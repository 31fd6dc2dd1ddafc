"""How much does a body ask for? Operators, copies, host transfers, and what SDPA took.

Exact: one more is a change of the code, on any machine, at any load.
"""

from typing import ClassVar

from benchmarks import observe
from benchmarks.cases import case
from benchmarks.common import measures, runs
from benchmarks.observe import BACKEND_NUMBERS


class _Counted:
    """Bodies of one kind that are run once and watched."""

    kind: ClassVar[str]

    def _seen(self, method: str, variant: str, name: str) -> observe.Operators:
        return observe.operators(case(f"counters.{type(self).__name__}.{method}", self.kind, variant, name))


class _Operators(_Counted):
    @measures("operators", unit="operators", exact=True)
    def track_operators(self, variant: str, name: str) -> int:
        return self._seen("track_operators", variant, name).total


class _Copies(_Counted):
    @measures("copies", unit="copies", exact=True)
    def track_copies(self, variant: str, name: str) -> int:
        return self._seen("track_copies", variant, name).copies


class _Transfers(_Counted):
    @measures("transfers", unit="transfers", exact=True)
    def track_transfers(self, variant: str, name: str) -> int:
        return self._seen("track_transfers", variant, name).transfers


class _Backend(_Counted):
    @measures(
        "backend",
        unit="1",
        direction="neither",
        exact=True,
        legend={"0": "SDPA not called", **{str(number): name for name, number in BACKEND_NUMBERS.items()}},
    )
    def track_backend(self, variant: str, name: str) -> int:
        return self._seen("track_backend", variant, name).backend_number


@runs("head counted")
class Forward(_Operators, _Copies, _Transfers, _Backend):
    """One head's forward."""

    kind = "head"


@runs("kernel counted")
class Kernels(_Operators, _Copies, _Backend):
    """A causal kernel's forward."""

    kind = "kernel"


@runs("backward counted")
class Backward(_Operators):
    """A causal kernel's forward and backward."""

    kind = "backward"


@runs("decode counted")
class Decode(_Operators, _Copies, _Backend):
    """One query beside a context."""

    kind = "decode"


@runs("local counted")
class Local(_Operators):
    """A window of positions."""

    kind = "local"


@runs("rotary counted")
class Rotary(_Operators):
    """Turning queries by their positions."""

    kind = "rotary"


@runs("cache counted")
class Cache(_Operators, _Copies, _Transfers):
    """A decode step through a cache."""

    kind = "cache"


@runs("train counted")
class TrainStep(_Operators, _Transfers):
    """One training step, backward and optimiser included; a number that the host waits for stops the device."""

    kind = "train"
