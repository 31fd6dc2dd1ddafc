"""How much faster than its baseline is each variant, inside one process? In turns, so that the machine's drift cancels.

    python -m benchmarks.ratios head b4_t256_c64      # every form of a head
    python -m benchmarks.ratios                       # every claim of claims.py, with what was wanted of it

The command is for people who look into a claim; it keeps nothing. Run it with the environment of asv.conf.json to
compare with asv's numbers: the allocator's settings matter (docs/benchmarking.md).

For asv, each `track_ratio` is a variant's time over its baseline's, so that less is better, as everywhere in asv.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import quantiles
from typing import ClassVar

from benchmarks import claims, devices, workloads
from benchmarks.cases import case, reasons
from benchmarks.common import Timed, measures, runs, samples
from benchmarks.turns import check_alike, in_turns, seeded, settings

#: By the name of its body (bodies.py): the registry's kind, and the inputs; a mask's are lengths.
KINDS: dict[str, tuple[str, Mapping[str, object]]] = {
    "head": ("module", workloads.HEAD_INPUTS),
    "kernel": ("attention", workloads.KERNEL_INPUTS),
    "backward": ("attention", workloads.KERNEL_INPUTS),
    "decode": ("attention", workloads.DECODE_INPUTS),
    "local": ("local", workloads.LOCAL_INPUTS),
    "strided": ("strided", workloads.STRIDED_INPUTS),
    "projection": ("projection", workloads.PROJECTION_INPUTS),
    "rotary": ("rotary", workloads.ROTARY_INPUTS),
    "cache": ("cache", workloads.DECODE_INPUTS),
    "prefill": ("cache", workloads.DECODE_INPUTS),
    "paged_decode": ("paged_decode", workloads.DECODE_INPUTS),
    "decoder": ("decoder", workloads.DECODER_INPUTS),
    "int8": ("int8", workloads.PROJECTION_INPUTS),
    "mask": ("mask", {}),
    "train": ("train", workloads.TRAIN_INPUTS),
    "mixed": ("", workloads.MIXED_INPUTS),
    "mode": ("", workloads.TRAIN_INPUTS),
}
#: Of what no registry has: the variants, each with what it is compared with.
UNREGISTERED = {
    "mixed": dict.fromkeys(workloads.MIXED_VARIANTS, "padded"),
    "mode": dict.fromkeys(workloads.MODE_VARIANTS, "eager"),
}
#: Not their baseline's numbers: half_split turns other pairs of channels, quantized and int8 round what they keep.
UNLIKE = ("half_split", "quantized", "weight_only", "dynamic", "autocast")
#: Forms with weights of different shapes, and so different gradients: the guards compare what they compute.
UNCOMPARED = ("decoder",)


@dataclass(frozen=True, slots=True)
class Ratio:
    """By the best calls: 2.0 = half the baseline's time. `low` and `high` hold eight in ten rounds."""

    variant: str
    seconds: float
    speedup: float
    low: float
    high: float


def ratios(kind: str, name: object, *, rounds: int = 15) -> Iterator[Ratio]:
    """Time all variants of a kind in turn, `rounds` times, forwards and backwards; compare within each round.

    Raises: ResultsDiffer when the variants, made from one seed, do not agree.
    """
    devices.prepare()
    baselines = _baselines(kind)
    bodies = {variant: seeded(kind, variant, name) for variant in baselines}
    if kind not in UNCOMPARED:
        check_alike({variant: body() for variant, body in bodies.items() if variant not in UNLIKE})
    times = in_turns(bodies, rounds=rounds)
    for variant, own in times.items():
        base = times[baselines[variant]]
        tenths = quantiles((b / o for b, o in zip(base, own, strict=True)), n=10)
        yield Ratio(variant, min(own), min(base) / min(own), tenths[0], tenths[-1])


def _baselines(kind: str) -> dict[str, str]:
    """The variants that can do this kind of work, each with what it is compared with."""
    if kind in UNREGISTERED:
        return UNREGISTERED[kind]
    attention = devices.measured()
    asked = attention.Case(device=devices.device(), gqa=kind == "decode")
    found = attention.variants(KINDS[kind][0])
    able = {v.name: v.baseline for v in found if not attention.unsupported(v, asked)}
    # A baseline that cannot do it gives way to one that is nobody's variant.
    other = next(name for name, baseline in able.items() if name == baseline)
    return {name: baseline if baseline in able else other for name, baseline in able.items()}


class _Compared:
    """Bodies of one kind beside their baselines, in turns inside one process, after their results were compared."""

    kind: ClassVar[str]

    @measures("ratio", unit="1", rounds=Timed.rounds)
    def track_ratio(self, variant: str, name: str) -> dict[str, object]:
        benchmark = f"ratios.{type(self).__name__}.track_ratio"
        own = case(benchmark, self.kind, variant, name)
        with reasons(benchmark, variant, name):
            baseline = _baselines(self.kind)[variant]
            bodies = {baseline: seeded(self.kind, baseline, name), variant: own}
            if self.kind not in UNCOMPARED and variant not in UNLIKE:
                check_alike({each: body() for each, body in bodies.items()})

        def over() -> float:
            (base,), (seconds,) = in_turns(bodies, rounds=1).values()
            return seconds / base

        return samples(over)


@runs("head compared")
class Forward(_Compared):
    """One head's forward."""

    kind = "head"


@runs("kernel compared")
class Kernels(_Compared):
    """A causal kernel's forward."""

    kind = "kernel"


@runs("decode compared")
class Decode(_Compared):
    """One query beside a context."""

    kind = "decode"


@runs("local compared")
class Local(_Compared):
    """A window of positions."""

    kind = "local"


@runs("rotary compared")
class Rotary(_Compared):
    """Queries turned by their positions."""

    kind = "rotary"


@runs("cache compared")
class Cache(_Compared):
    """A decode step through a cache."""

    kind = "cache"


@runs("mixed compared")
class Mixed(_Compared):
    """A decode step of sequences of several lengths."""

    kind = "mixed"


@runs("decoder compared")
class Decoder(_Compared):
    """A decoder's forward and backward."""

    kind = "decoder"


@runs("train compared")
class TrainStep(_Compared):
    """A training step by the form of attention."""

    kind = "train"


def main(arguments: Sequence[str]) -> int:
    if not arguments:
        devices.prepare()
        print(f"{claims.table(list(_judged()))}\n\n{settings()}")
        return 0
    if len(arguments) != 2 or not _known(*arguments):
        inputs = "\n".join(f"  {kind} {' | '.join(names) or 'LENGTH'}" for kind, (_, names) in KINDS.items())
        print(f"usage: python -m benchmarks.ratios [KIND INPUT], one of\n{inputs}")
        return 0 if arguments[0] in ("-h", "--help") else 2
    kind, name = arguments[0], int(arguments[1]) if arguments[0] == "mask" else arguments[1]
    print(f"{kind} {name}: best call, speed over the baseline's [eight in ten rounds]")
    for ratio in ratios(kind, name):
        spread = f"[{ratio.low:.2f}, {ratio.high:.2f}]"
        print(f"{ratio.variant:14} {ratio.seconds * 1e6:12.1f} us   {ratio.speedup:8.2f} {spread}")
    print(settings())
    return 0


def _known(kind: str, name: str) -> bool:
    return name.isdecimal() if kind == "mask" else kind in KINDS and name in KINDS[kind][1]


def _judged() -> Iterator[tuple[claims.Claim, float | str]]:
    """Each claim with what was found, or why it could not be: told on stderr as it comes."""
    for claim in claims.claims():
        print(claim.sentence, file=sys.stderr, flush=True)
        try:
            yield claim, claim.measure()
        except NotImplementedError as reason:
            yield claim, str(reason)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
