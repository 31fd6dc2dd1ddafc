"""What is an attention form worth inside a whole training step? (Amdahl's law, seed 000's second row.)"""

from benchmarks import best
from benchmarks.cases import case, counted
from benchmarks.common import Timed, measures, runs, samples


@runs("train")
class TrainStep(Timed):
    """Forward, cross-entropy, backward, AdamW."""

    @measures("time", unit="seconds")
    def time_train_step(self, variant: str, name: str) -> None:
        best.call(case("train_step.TrainStep.time_train_step", "train", variant, name))


@runs("mode")
class Mode(Timed):
    """The same step as it is, with products in bfloat16, or with a compiled model."""

    timeout = 600.0  # compiling

    @measures("time", unit="seconds")
    def time_train_step(self, variant: str, name: str) -> None:
        best.call(case("train_step.Mode.time_train_step", "mode", variant, name))


@runs("step part")
class Part:
    """Where a step's time goes: attention, feed-forward, the rest of the forward, backward, optimiser."""

    @measures("time", unit="seconds", rounds=Timed.rounds)
    def track_seconds(self, variant: str, name: str) -> dict[str, object]:
        place = ("train_step.Part.track_seconds", "step part", variant, name)
        return samples(lambda: best.least(lambda: counted(*place)))
