"""Every error this package raises on purpose. The message names the place, what was met, and what was wanted."""


class ShapeError(ValueError):
    """Tensors that cannot be attended together: batch, heads, width or mask disagree."""


class Unsupported(NotImplementedError):
    """This variant cannot do this case here; `reasons` says why, one sentence each."""

    def __init__(self, *reasons: str) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons


class CacheFull(RuntimeError):
    """A cache with a fixed capacity was asked to hold more than that."""
