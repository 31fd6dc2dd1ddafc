"""Is it as good as it was? Errors beside the oracle, what INT8 costs, and what a network learns to recall.

Exact on one environment, and told with two digits (a cosine with three after the point): sums that are added in another
order are no change of quality.
"""

from benchmarks.cases import counted
from benchmarks.common import measures, runs


@runs("kernel error")
class Kernels:
    """A causal kernel's largest error, beside float64; inputs are of unit scale."""

    @measures("error", unit="1", exact=True)
    def track_error(self, variant: str, name: str) -> float:
        return two_digits(counted("quality.Kernels.track_error", "kernel error", variant, name))


@runs("cache error")
class Cache:
    """One query's largest error through a cache, over the largest result."""

    @measures("error", unit="1", exact=True)
    def track_error(self, variant: str, name: str) -> float:
        return two_digits(counted("quality.Cache.track_error", "cache error", variant, name))


@runs("int8 error")
class Int8:
    """The relative error of the projection to queries, keys and values."""

    @measures("error", unit="1", exact=True)
    def track_error(self, variant: str, name: str) -> float:
        return two_digits(counted("quality.Int8.track_error", "int8 error", variant, name))


@runs("recall")
class Recall:
    """The cosine between unseen sequences and what an autoencoder makes of them, after a short training."""

    @measures("cosine", unit="1", direction="higher", exact=True)
    def track_cosine(self, variant: str, name: str) -> float:
        return round(counted("quality.Recall.track_cosine", "recall", variant, name), 3)


def two_digits(value: float) -> float:
    return float(f"{value:.1e}")
