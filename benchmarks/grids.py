"""What each grid runs: by room, the variants and the inputs of workloads.py, all of the one with all of the other.

The environment variable PERFSVC_GRID chooses: quick (each commit, two cores, under three minutes), full (a night on a
CPU), gpu (sizes that keep an accelerator busy: 16 k tokens a batch). Which room is which benchmark's, `runs` says.
"""

import os
from typing import NamedTuple

from benchmarks.workloads import (
    CACHE_VARIANTS,
    DECODE_COSTS,
    DECODER_VARIANTS,
    INT8_VARIANTS,
    KERNEL_COSTS,
    KERNEL_VARIANTS,
    LOCAL_VARIANTS,
    MASK_VARIANTS,
    MIXED_VARIANTS,
    MODE_VARIANTS,
    MODULE_VARIANTS,
    PAGED_DECODE_VARIANTS,
    PART_VARIANTS,
    PROJECTION_VARIANTS,
    RECALL_VARIANTS,
    ROTARY_VARIANTS,
    STEP_PART_VARIANTS,
    STRIDED_VARIANTS,
    TRAIN_VARIANTS,
)


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
        "mixed": Room(MIXED_VARIANTS, ("b8_s64x7_s4096_hq8_hkv2_d64",)),
        "head compared": Room(("cached", "sdpa"), ("b4_t256_c64",)),
        "decode compared": Room(("grouped",), ("b1_hq8_hkv2_s4096_d64",)),
        "cache compared": Room(("paged",), ("b1_hq8_hkv2_s512_d64",)),
        "kernel cost": Room(KERNEL_COSTS, ("b1_h8_t256_d64",)),
        "decode cost": Room(DECODE_COSTS, ("b1_hq8_hkv2_s4096_d64",)),
        "kernel error": Room(("naive", "sdpa", "chunked"), ("b1_h8_t256_d64",)),
        "cache error": Room(("static", "quantized"), ("b1_hq8_hkv2_s512_d64",)),
        "int8 error": Room(("weight_only", "dynamic"), ("b1_t1_c512_h8",)),
        "recall": Room(("rnn", "maximum_speed"), ("b32_s8_f8_z8_n60",)),
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
        "mixed": Room(MIXED_VARIANTS, ("b8_s64x7_s4096_hq8_hkv2_d64", "b8_s128to4096_hq8_hkv2_d64")),
        "paged_decode": Room(PAGED_DECODE_VARIANTS, ("b1_hq8_hkv2_s4096_d64", "b1_hq32_hkv8_s4096_d128")),
        "mode": Room(MODE_VARIANTS, ("b4_t256_c64_n2",)),
        "step part": Room(STEP_PART_VARIANTS, ("b4_t256_c64_n2",)),
        "head compared": Room(("stored_scale", "cached", "fused", "sdpa"), ("b4_t256_c64",)),
        "kernel compared": Room(("sdpa", "chunked"), ("b1_h8_t256_d64", "b1_h8_t512_d64")),
        "decode compared": Room(("grouped",), ("b1_hq8_hkv2_s4096_d64", "b1_hq8_hkv1_s4096_d64")),
        "local compared": Room(("blocked",), ("b1_h8_t1024_d64_w64",)),
        "rotary compared": Room(("complex",), ("b1_h8_t128_d64",)),
        "cache compared": Room(("static", "paged", "adaptive"), ("b1_hq8_hkv2_s4096_d64",)),
        "mixed compared": Room(("paged",), ("b8_s64x7_s4096_hq8_hkv2_d64", "b8_s128to4096_hq8_hkv2_d64")),
        "decoder compared": Room(("cached", "cached_sdpa", "batched"), ("b4_s50_t25_d128",)),
        "train compared": Room(("cached", "sdpa"), ("b4_t256_c64_n2",)),
        "kernel cost": Room(KERNEL_COSTS, ("b1_h8_t256_d64", "b1_h8_t1024_d64")),
        "decode cost": Room(DECODE_COSTS, ("b1_hq8_hkv2_s4096_d64", "b1_hq32_hkv8_s4096_d128")),
        "kernel error": Room(KERNEL_VARIANTS, ("b1_h8_t256_d64", "b1_h8_t64_d64")),
        "cache error": Room(CACHE_VARIANTS, ("b1_hq8_hkv2_s512_d64",)),
        "int8 error": Room(("weight_only", "dynamic"), ("b1_t1_c512_h8", "b1_t128_c512_h8")),
        "recall": Room(RECALL_VARIANTS, ("b32_s8_f8_z8_n60",)),
        "head traced": Room(MODULE_VARIANTS, ("b4_t256_c64",)),
        "kernel traced": Room(KERNEL_VARIANTS, ("b1_h8_t256_d64",)),
        "decode traced": Room(("repeated_kv", "sdpa", "grouped"), ("b1_hq8_hkv2_s512_d64",)),
        "cache traced": Room(CACHE_VARIANTS, ("b1_hq8_hkv2_s512_d64",)),
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
        "mixed": Room(MIXED_VARIANTS, ("b64_s512x56_s8192x8_hq32_hkv8_d128",)),
        "paged_decode": Room(PAGED_DECODE_VARIANTS, ("b1_hq32_hkv8_s4096_d128", "b16_hq32_hkv8_s4096_d128")),
        "mode": Room(MODE_VARIANTS, ("b8_t1024_c768_n12",)),
        "step part": Room(STEP_PART_VARIANTS, ("b8_t1024_c768_n12",)),
        "kernel compared": Room(("masked", "sdpa", "chunked"), ("b16_h16_t1024_d64",)),
        "decode compared": Room(("sdpa", "grouped"), ("b16_hq32_hkv8_s4096_d128",)),
        "local compared": Room(("blocked",), ("b4_h16_t4096_d64_w256",)),
        "rotary compared": Room(("stack", "half_split", "complex"), ("b8_h32_t2048_d128",)),
        "cache compared": Room(("static", "paged"), ("b16_hq32_hkv8_s4096_d128",)),
        "mixed compared": Room(("paged",), ("b64_s512x56_s8192x8_hq32_hkv8_d128",)),
        "kernel cost": Room(KERNEL_COSTS, ("b16_h16_t1024_d64", "b4_h16_t4096_d64")),
        "decode cost": Room(DECODE_COSTS, ("b1_hq32_hkv8_s4096_d128", "b16_hq32_hkv8_s4096_d128")),
        "kernel error": Room(KERNEL_VARIANTS, ("b1_h8_t256_d64",)),
        "cache error": Room(CACHE_VARIANTS, ("b1_hq8_hkv2_s512_d64",)),
        "int8 error": Room(("weight_only", "dynamic"), ("b8_t512_c4096_h32",)),
        "recall": Room(RECALL_VARIANTS, ("b32_s8_f8_z8_n60",)),
        "decode launched": Room(("repeated_kv", "sdpa", "grouped"), ("b1_hq32_hkv8_s4096_d128",)),
        "cache launched": Room(("concat", "static", "paged"), ("b1_hq32_hkv8_s4096_d128",)),
    },
}


def grid() -> str:
    """The chosen grid. Raises: ValueError when PERFSVC_GRID names none."""
    name = os.environ.get("PERFSVC_GRID", "quick")
    if name not in GRIDS:
        raise ValueError(f"PERFSVC_GRID={name!r}, wanted one of {', '.join(GRIDS)}")
    return name
