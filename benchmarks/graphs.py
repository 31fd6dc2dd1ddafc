"""Does a body compile into one graph? How often torch.compile would hand back to Python; exact."""

from typing import ClassVar

from benchmarks import observe
from benchmarks.cases import case
from benchmarks.common import measures, runs


class _Traced:
    """Bodies of one kind that are traced, not compiled."""

    kind: ClassVar[str]

    @measures("graph_breaks", unit="breaks", exact=True)
    def track_graph_breaks(self, variant: str, name: str) -> int:
        benchmark = f"graphs.{type(self).__name__}.track_graph_breaks"
        return observe.graph_breaks(case(benchmark, self.kind, variant, name))


@runs("head traced")
class Forward(_Traced):
    """One head's forward."""

    kind = "head"


@runs("kernel traced")
class Kernels(_Traced):
    """A causal kernel's forward."""

    kind = "kernel"


@runs("decode traced")
class Decode(_Traced):
    """One query beside a context."""

    kind = "decode"


@runs("cache traced")
class Cache(_Traced):
    """A decode step through a cache."""

    kind = "cache"
