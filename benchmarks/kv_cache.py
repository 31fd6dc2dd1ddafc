"""What do a prompt and a decode step cost by the way their past is kept? (Seed 003.)"""

from benchmarks import best
from benchmarks.cases import case
from benchmarks.common import Timed, measures, runs
from benchmarks.costs import DECODE_BYTES


@runs("cache")
class Decode(Timed):
    """Append a position, attend to all."""

    @measures("time", unit="seconds", bytes=DECODE_BYTES)
    def time_decode(self, variant: str, name: str) -> None:
        best.call(case("kv_cache.Decode.time_decode", "cache", variant, name))


@runs("prefill")
class Prefill(Timed):
    """Keep a whole prompt, attend causally."""

    @measures("time", unit="seconds")
    def time_prefill(self, variant: str, name: str) -> None:
        best.call(case("kv_cache.Prefill.time_prefill", "prefill", variant, name))


@runs("mixed")
class Mixed(Timed):
    """A step of sequences of several lengths: padded to the longest, or each in pages of its own."""

    @measures("time", unit="seconds")
    def time_decode(self, variant: str, name: str) -> None:
        best.call(case("kv_cache.Mixed.time_decode", "mixed", variant, name))


@runs("paged_decode")
class PagedDecode(Timed):
    """A step whose keys and values lie in pages anywhere: copied together, or read where they lie."""

    @measures("time", unit="seconds", bytes=DECODE_BYTES)
    def time_decode(self, variant: str, name: str) -> None:
        best.call(case("kv_cache.PagedDecode.time_decode", "paged_decode", variant, name))
