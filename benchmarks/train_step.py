"""What is an attention form worth inside a whole training step? (Amdahl's law, seed 000's second row.)"""

from benchmarks import best
from benchmarks.cases import case
from benchmarks.common import Timed, measures, runs


@runs("train")
class TrainStep(Timed):
    """Forward, cross-entropy, backward, AdamW."""

    @measures("time", unit="seconds")
    def time_train_step(self, variant: str, name: str) -> None:
        best.call(case("train_step.TrainStep.time_train_step", "train", variant, name))
