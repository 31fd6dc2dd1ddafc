"""What do a prompt and a decode step cost by the way their past is kept? (Seed 003.)"""

from benchmarks import best
from benchmarks.cases import case
from benchmarks.common import Timed, measures, runs


@runs("cache")
class Decode(Timed):
    """Append a position, attend to all."""

    @measures("time", unit="seconds")
    def time_decode(self, variant: str, name: str) -> None:
        best.call(case("kv_cache.Decode.time_decode", "cache", variant, name))


@runs("prefill")
class Prefill(Timed):
    """Keep a whole prompt, attend causally."""

    @measures("time", unit="seconds")
    def time_prefill(self, variant: str, name: str) -> None:
        best.call(case("kv_cache.Prefill.time_prefill", "prefill", variant, name))
