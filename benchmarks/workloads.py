"""Names of variants and inputs, the parameters of every benchmark.

Literal and append-only: asv picks a case by its index in these tuples, evaluated beside the measured commit, and a name
is the identity of a series. A test holds the variants equal to the registry's. What a measured commit lacks is skipped.

The environment variable PERFSVC_GRID chooses the inputs: quick (each commit, two cores, under three minutes), full (a
night on a CPU), gpu (sizes that keep an accelerator busy).
"""

import os
from dataclasses import dataclass

MODULE_VARIANTS = ("plain", "stored_scale", "cached", "fused", "sdpa")
KERNEL_VARIANTS = ("naive", "masked", "sdpa")
MASK_VARIANTS = ("element_loop", "full_triu", "tril_fill", "bool_tril", "cached")
TRAIN_VARIANTS = ("plain", "cached", "sdpa")

# stored_scale asks for the same operators as plain and differs in microseconds of Python: a nightly series is enough.
TIMED_MODULE_VARIANTS = {
    "quick": ("plain", "cached", "fused", "sdpa"),
    "full": MODULE_VARIANTS,
    "gpu": MODULE_VARIANTS,
}
COUNTED_MODULE_VARIANTS = ("plain", "cached", "fused", "sdpa")
# A process that builds an optimiser imports torch's compiler: twice the time of another. So a commit gets few of them.
TIMED_TRAIN_VARIANTS = {"quick": ("plain", "cached"), "full": TRAIN_VARIANTS, "gpu": TRAIN_VARIANTS}
COUNTED_TRAIN_VARIANTS = ("cached", "sdpa")


@dataclass(frozen=True, slots=True)
class HeadInput:
    """x [batch, length, width] for one head as wide as the model."""

    batch: int
    length: int
    width: int


@dataclass(frozen=True, slots=True)
class KernelInput:
    """q, k, v [batch, heads, length, head_width], causal."""

    batch: int
    heads: int
    length: int
    head_width: int


@dataclass(frozen=True, slots=True)
class TrainInput:
    """Tokens [batch, length] for a model of `layers` blocks."""

    batch: int
    length: int
    width: int
    layers: int
    vocabulary: int


HEAD_INPUTS = {
    "b4_t256_c64": HeadInput(4, 256, 64),  # seed 000: B=4, T=256
    "b4_t64_c64": HeadInput(4, 64, 64),
    "b4_t1024_c64": HeadInput(4, 1024, 64),
    "b4_t256_c256": HeadInput(4, 256, 256),
    "b4_t4096_c64": HeadInput(4, 4096, 64),
}
KERNEL_INPUTS = {
    "b1_h8_t256_d64": KernelInput(1, 8, 256, 64),
    "b1_h8_t64_d64": KernelInput(1, 8, 64, 64),
    "b1_h8_t1024_d64": KernelInput(1, 8, 1024, 64),
    "b16_h16_t1024_d64": KernelInput(16, 16, 1024, 64),
    "b4_h16_t4096_d64": KernelInput(4, 16, 4096, 64),
}
TRAIN_INPUTS = {
    "b4_t256_c64_n2": TrainInput(4, 256, 64, 2, 256),  # seed 000's B=4, T=256, on a model small enough for each commit
    "b4_t256_c256_n4": TrainInput(4, 256, 256, 4, 1024),
    "b8_t1024_c768_n12": TrainInput(8, 1024, 768, 12, 8192),
}

GRIDS: dict[str, dict[str, tuple[str, ...]]] = {
    "quick": {
        "head": ("b4_t256_c64",),
        "kernel": (),
        "train": ("b4_t256_c64_n2",),
    },
    "full": {
        "head": ("b4_t256_c64", "b4_t64_c64", "b4_t1024_c64", "b4_t256_c256"),
        "kernel": ("b1_h8_t256_d64", "b1_h8_t64_d64", "b1_h8_t1024_d64"),
        "train": ("b4_t256_c64_n2", "b4_t256_c256_n4"),
    },
    "gpu": {
        "head": ("b4_t256_c64", "b4_t1024_c64", "b4_t4096_c64"),
        "kernel": ("b16_h16_t1024_d64", "b4_h16_t4096_d64"),
        "train": ("b4_t256_c256_n4", "b8_t1024_c768_n12"),
    },
}
#: Seed 004's lengths; the element loop takes some 50 ms at 512, and four times that for each doubling.
MASK_LENGTHS: dict[str, tuple[int, ...]] = {
    "quick": (512,),
    "full": (512, 8, 32, 128),
    "gpu": (512, 2048),
}


def grid() -> str:
    """The chosen grid. Raises: ValueError when PERFSVC_GRID names none."""
    name = os.environ.get("PERFSVC_GRID", "quick")
    if name not in GRIDS:
        raise ValueError(f"PERFSVC_GRID={name!r}, wanted one of {', '.join(GRIDS)}")
    return name
