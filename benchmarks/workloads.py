"""Names of variants and inputs, and what each grid runs of them: the parameters of every benchmark.

Literal and append-only: asv picks a case by its index in these tuples, evaluated beside the measured commit, and a name
is the identity of a series. A test holds the variants equal to the registry's. What a measured commit lacks is skipped.

The environment variable PERFSVC_GRID chooses: quick (each commit, two cores, under three minutes), full (a night on a
CPU), gpu (sizes that keep an accelerator busy).
"""

import os
from dataclasses import dataclass
from typing import NamedTuple

MODULE_VARIANTS = ("plain", "stored_scale", "cached", "fused", "sdpa")
KERNEL_VARIANTS = ("naive", "masked", "sdpa", "chunked", "checkpointed", "repeated_kv", "grouped")
LOCAL_VARIANTS = ("masked", "blocked")
STRIDED_VARIANTS = ("masked", "regrouped")
PROJECTION_VARIANTS = ("separate", "fused")
ROTARY_VARIANTS = ("recomputed", "stack", "half_split", "complex")
PART_VARIANTS = ("projection", "rotation", "scores", "mask", "softmax", "output", "whole")
CACHE_VARIANTS = ("concat", "static", "growing", "paged", "adaptive", "quantized")
DECODER_VARIANTS = (
    "recompute",
    "cached",
    "cached_sdpa",
    "fused_context",
    "preallocated",
    "batched",
    "input_feeding_recompute",
    "input_feeding",
    "lstm_split_state",
    "lstm",
    "rnn_loop",
    "rnn",
)
INT8_VARIANTS = ("float", "weight_only", "dynamic")
MASK_VARIANTS = ("element_loop", "full_triu", "tril_fill", "bool_tril", "cached")
TRAIN_VARIANTS = ("plain", "cached", "sdpa")


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
class SparseInput:
    """q, k, v [batch, heads, length, head_width], causal; `span` is the window or the stride."""

    batch: int
    heads: int
    length: int
    head_width: int
    span: int


@dataclass(frozen=True, slots=True)
class DecodeInput:
    """One query of `heads` heads beside `length` positions of `kv_heads` heads."""

    batch: int
    heads: int
    kv_heads: int
    length: int
    head_width: int


@dataclass(frozen=True, slots=True)
class ProjectionInput:
    """x [batch, length, width] to queries, keys and values of `heads` heads, and back."""

    batch: int
    length: int
    width: int
    heads: int


@dataclass(frozen=True, slots=True)
class DecoderInput:
    """A decoder of `steps` steps, `width` wide, over an encoder's `positions`."""

    batch: int
    positions: int
    steps: int
    width: int


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
    "b1_h8_t512_d64": KernelInput(1, 8, 512, 64),
}
LOCAL_INPUTS = {
    "b1_h8_t1024_d64_w64": SparseInput(1, 8, 1024, 64, 64),
    "b1_h8_t4096_d64_w256": SparseInput(1, 8, 4096, 64, 256),
    "b4_h16_t4096_d64_w256": SparseInput(4, 16, 4096, 64, 256),
}
STRIDED_INPUTS = {
    "b1_h8_t1024_d64_s8": SparseInput(1, 8, 1024, 64, 8),
    "b1_h8_t4096_d64_s8": SparseInput(1, 8, 4096, 64, 8),
    "b4_h16_t4096_d64_s8": SparseInput(4, 16, 4096, 64, 8),
}
DECODE_INPUTS = {
    "b1_hq8_hkv2_s4096_d64": DecodeInput(1, 8, 2, 4096, 64),
    "b1_hq8_hkv2_s512_d64": DecodeInput(1, 8, 2, 512, 64),
    "b1_hq8_hkv1_s4096_d64": DecodeInput(1, 8, 1, 4096, 64),
    "b1_hq32_hkv8_s4096_d128": DecodeInput(1, 32, 8, 4096, 128),
    "b1_hq8_hkv8_s4096_d64": DecodeInput(1, 8, 8, 4096, 64),
    "b16_hq32_hkv8_s4096_d128": DecodeInput(16, 32, 8, 4096, 128),
    "b1_hq8_hkv2_s256_d64": DecodeInput(1, 8, 2, 256, 64),
    "b1_hq8_hkv2_s1024_d64": DecodeInput(1, 8, 2, 1024, 64),
}
PROJECTION_INPUTS = {
    "b1_t1_c512_h8": ProjectionInput(1, 1, 512, 8),
    "b1_t128_c512_h8": ProjectionInput(1, 128, 512, 8),
    "b1_t128_c4096_h32": ProjectionInput(1, 128, 4096, 32),  # seed 004: width 4096
    "b8_t512_c4096_h32": ProjectionInput(8, 512, 4096, 32),
}
ROTARY_INPUTS = {
    "b1_h8_t128_d64": KernelInput(1, 8, 128, 64),
    "b1_h8_t1_d64": KernelInput(1, 8, 1, 64),
    "b1_h32_t128_d128": KernelInput(1, 32, 128, 128),  # seed 004: 32 heads of 128
    "b8_h32_t2048_d128": KernelInput(8, 32, 2048, 128),
}
DECODER_INPUTS = {
    "b4_s50_t25_d128": DecoderInput(4, 50, 25, 128),
    "b8_s100_t50_d256": DecoderInput(8, 100, 50, 256),
    "b64_s100_t100_d512": DecoderInput(64, 100, 100, 512),
}
TRAIN_INPUTS = {
    "b4_t256_c64_n2": TrainInput(4, 256, 64, 2, 256),  # seed 000's B=4, T=256, on a model small enough for each commit
    "b4_t256_c256_n4": TrainInput(4, 256, 256, 4, 1024),
    "b8_t1024_c768_n12": TrainInput(8, 1024, 768, 12, 8192),
}
#: Rows and columns of a square matrix.
GEMM_SIZES = (1024, 4096)


class Room(NamedTuple):
    """The variants and inputs that a grid runs of one benchmark: all of the one with all of the other."""

    variants: tuple[str, ...]
    inputs: tuple[str | int, ...]


# stored_scale asks for the same operators as plain and differs in microseconds of Python: a nightly series is enough.
_HEADS = ("plain", "cached", "fused", "sdpa")
GRIDS: dict[str, dict[str, Room]] = {
    "quick": {
        "head": Room(_HEADS, ("b4_t256_c64",)),
        "head counted": Room(_HEADS, ("b4_t256_c64",)),
        "kernel counted": Room(("naive", "masked", "sdpa", "chunked"), ("b1_h8_t256_d64",)),
        "backward": Room(("naive", "sdpa"), ("b1_h8_t256_d64",)),
        "backward counted": Room(("naive", "sdpa", "checkpointed"), ("b1_h8_t256_d64",)),
        "decode": Room(("repeated_kv", "sdpa", "grouped"), ("b1_hq8_hkv2_s4096_d64",)),
        "decode counted": Room(("repeated_kv", "sdpa", "grouped"), ("b1_hq8_hkv2_s512_d64",)),
        "local": Room(LOCAL_VARIANTS, ("b1_h8_t1024_d64_w64",)),
        "local counted": Room(LOCAL_VARIANTS, ("b1_h8_t1024_d64_w64",)),
        "projection": Room(PROJECTION_VARIANTS, ("b1_t1_c512_h8",)),
        "rotary": Room(("stack", "complex"), ("b1_h8_t128_d64",)),
        "rotary counted": Room(ROTARY_VARIANTS, ("b1_h8_t128_d64",)),
        "part": Room(PART_VARIANTS, ("b1_t128_c512_h8",)),
        "cache": Room(("concat", "static", "paged"), ("b1_hq8_hkv2_s512_d64",)),
        "cache counted": Room(CACHE_VARIANTS, ("b1_hq8_hkv2_s512_d64",)),
        # A process that builds an optimiser imports torch's compiler: twice the time of another. So there are few.
        "train": Room(("plain", "cached"), ("b4_t256_c64_n2",)),
        "train counted": Room(("cached", "sdpa"), ("b4_t256_c64_n2",)),
        "prefill": Room(("concat", "paged"), ("b1_hq8_hkv2_s512_d64",)),
        "decoder": Room(("recompute", "cached_sdpa", "batched", "rnn_loop"), ("b4_s50_t25_d128",)),
        "int8": Room(INT8_VARIANTS, ("b1_t1_c512_h8",)),
        # Seed 004's lengths; the element loop takes some 50 ms at 512, and four times that for each doubling.
        "mask": Room(MASK_VARIANTS, (512,)),
        "gemm": Room(("float32",), (1024,)),
        "read": Room(("sum",), (8,)),
        "dispatch": Room(("add",), (1,)),
    },
    "full": {
        "head": Room(MODULE_VARIANTS, ("b4_t256_c64", "b4_t64_c64", "b4_t1024_c64", "b4_t256_c256")),
        "head counted": Room(_HEADS, ("b4_t256_c64", "b4_t64_c64", "b4_t1024_c64", "b4_t256_c256")),
        "kernel": Room(KERNEL_VARIANTS, ("b1_h8_t256_d64", "b1_h8_t64_d64", "b1_h8_t1024_d64", "b1_h8_t512_d64")),
        "kernel counted": Room(KERNEL_VARIANTS, ("b1_h8_t256_d64", "b1_h8_t1024_d64")),
        "backward": Room(KERNEL_VARIANTS, ("b1_h8_t256_d64", "b1_h8_t1024_d64")),
        "backward counted": Room(KERNEL_VARIANTS, ("b1_h8_t256_d64", "b1_h8_t1024_d64")),
        "decode": Room(
            ("repeated_kv", "sdpa", "grouped"),
            ("b1_hq8_hkv2_s4096_d64", "b1_hq8_hkv2_s512_d64", "b1_hq8_hkv1_s4096_d64", "b1_hq32_hkv8_s4096_d128"),
        ),
        "decode counted": Room(("repeated_kv", "sdpa", "grouped"), ("b1_hq8_hkv2_s512_d64", "b1_hq8_hkv1_s4096_d64")),
        "local": Room(LOCAL_VARIANTS, ("b1_h8_t1024_d64_w64", "b1_h8_t4096_d64_w256")),
        "local counted": Room(LOCAL_VARIANTS, ("b1_h8_t1024_d64_w64", "b1_h8_t4096_d64_w256")),
        "strided": Room(STRIDED_VARIANTS, ("b1_h8_t1024_d64_s8", "b1_h8_t4096_d64_s8")),
        "projection": Room(PROJECTION_VARIANTS, ("b1_t1_c512_h8", "b1_t128_c512_h8", "b1_t128_c4096_h32")),
        "rotary": Room(ROTARY_VARIANTS, ("b1_h8_t128_d64", "b1_h8_t1_d64", "b1_h32_t128_d128")),
        "rotary counted": Room(ROTARY_VARIANTS, ("b1_h8_t128_d64",)),
        "part": Room(PART_VARIANTS, ("b1_t128_c512_h8", "b1_t128_c4096_h32")),
        "cache": Room(
            CACHE_VARIANTS,
            ("b1_hq8_hkv2_s512_d64", "b1_hq8_hkv2_s4096_d64", "b1_hq8_hkv8_s4096_d64", "b1_hq32_hkv8_s4096_d128"),
        ),
        "cache counted": Room(CACHE_VARIANTS, ("b1_hq8_hkv2_s512_d64", "b1_hq8_hkv2_s4096_d64")),
        "train": Room(TRAIN_VARIANTS, ("b4_t256_c64_n2", "b4_t256_c256_n4")),
        "train counted": Room(("cached", "sdpa"), ("b4_t256_c64_n2", "b4_t256_c256_n4")),
        "prefill": Room(CACHE_VARIANTS, ("b1_hq8_hkv2_s512_d64", "b1_hq8_hkv2_s1024_d64")),
        "decoder": Room(DECODER_VARIANTS, ("b4_s50_t25_d128", "b8_s100_t50_d256")),
        "int8": Room(INT8_VARIANTS, ("b1_t1_c512_h8", "b1_t128_c512_h8", "b1_t128_c4096_h32")),
        "mask": Room(MASK_VARIANTS, (512, 8, 32, 128)),
        "gemm": Room(("float32", "bfloat16"), (1024,)),
        "read": Room(("sum",), (8, 256)),
        "dispatch": Room(("add", "linear"), (1,)),
    },
    "gpu": {
        "head": Room(MODULE_VARIANTS, ("b4_t256_c64", "b4_t1024_c64", "b4_t4096_c64")),
        "head counted": Room(_HEADS, ("b4_t256_c64", "b4_t1024_c64", "b4_t4096_c64")),
        "kernel": Room(KERNEL_VARIANTS, ("b16_h16_t1024_d64", "b4_h16_t4096_d64")),
        "backward": Room(KERNEL_VARIANTS, ("b16_h16_t1024_d64",)),
        "decode": Room(("repeated_kv", "sdpa", "grouped"), ("b1_hq32_hkv8_s4096_d128", "b16_hq32_hkv8_s4096_d128")),
        "local": Room(LOCAL_VARIANTS, ("b4_h16_t4096_d64_w256",)),
        "strided": Room(STRIDED_VARIANTS, ("b4_h16_t4096_d64_s8",)),
        "projection": Room(PROJECTION_VARIANTS, ("b8_t512_c4096_h32",)),
        "rotary": Room(ROTARY_VARIANTS, ("b8_h32_t2048_d128",)),
        "part": Room(PART_VARIANTS, ("b8_t512_c4096_h32",)),
        "cache": Room(CACHE_VARIANTS, ("b1_hq32_hkv8_s4096_d128", "b16_hq32_hkv8_s4096_d128")),
        "train": Room(TRAIN_VARIANTS, ("b4_t256_c256_n4", "b8_t1024_c768_n12")),
        "train counted": Room(("cached", "sdpa"), ("b4_t256_c256_n4", "b8_t1024_c768_n12")),
        "prefill": Room(CACHE_VARIANTS, ("b1_hq32_hkv8_s4096_d128",)),
        "decoder": Room(DECODER_VARIANTS, ("b64_s100_t100_d512",)),
        "int8": Room(INT8_VARIANTS, ("b8_t512_c4096_h32",)),
        "mask": Room(MASK_VARIANTS, (512, 2048)),
        "gemm": Room(("float32", "bfloat16"), (4096,)),
        "read": Room(("sum",), (256,)),
        "dispatch": Room(("add", "linear"), (1,)),
    },
}


def grid() -> str:
    """The chosen grid. Raises: ValueError when PERFSVC_GRID names none."""
    name = os.environ.get("PERFSVC_GRID", "quick")
    if name not in GRIDS:
        raise ValueError(f"PERFSVC_GRID={name!r}, wanted one of {', '.join(GRIDS)}")
    return name
