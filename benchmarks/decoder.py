"""What does attention cost over a recurrent network? (Seed 001: forms of a decoder, and the network without it.)"""

from benchmarks import best
from benchmarks.cases import case
from benchmarks.common import Timed, measures, runs


@runs("decoder")
class Decoder(Timed):
    """All steps of a decoder over an encoder's states, forward and backward."""

    @measures("time", unit="seconds")
    def time_decoder(self, variant: str, name: str) -> None:
        best.call(case("decoder.Decoder.time_decoder", "decoder", variant, name))
