"""Names of variants and inputs: the parameters of every benchmark. What a grid runs of them is in grids.py.

Literal and append-only: asv picks a case by its index in these tuples, evaluated beside the measured commit, and a name
is the identity of a series. A test holds the variants equal to the registry's. What a measured commit lacks is skipped.
"""

from dataclasses import dataclass

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
PAGED_DECODE_VARIANTS = ("gathered", "kernel")
#: Sequences of several lengths: padded to the longest, or each in pages of its own.
MIXED_VARIANTS = ("padded", "paged")
#: A training step of the `cached` form as it is, in bfloat16 where that is safe, and through torch.compile.
MODE_VARIANTS = ("eager", "autocast", "compiled")
#: Where the time of a training step goes (attention.step_shares).
STEP_PART_VARIANTS = ("attention", "feed_forward", "other", "backward", "optimizer")
#: The network without attention, and the presets.
RECALL_VARIANTS = ("rnn", "maximum_speed", "balanced", "maximum_quality")
#: Of what operations and bytes are counted, whoever does it.
KERNEL_COSTS = ("forward",)
DECODE_COSTS = ("step",)


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
class MixedInput:
    """One query of `heads` heads for each sequence, beside as many positions of `kv_heads` heads as `lengths` says."""

    lengths: tuple[int, ...]
    heads: int
    kv_heads: int
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
class RecallInput:
    """The recall task: so many steps on `batch` sequences of `length` vectors, through a bottleneck."""

    batch: int
    length: int
    feature_size: int
    bottleneck: int
    steps: int


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
MIXED_INPUTS = {
    "b8_s64x7_s4096_hq8_hkv2_d64": MixedInput((*[64] * 7, 4096), 8, 2, 64),
    "b8_s128to4096_hq8_hkv2_d64": MixedInput((128, 256, 512, 1024, 1536, 2048, 3072, 4096), 8, 2, 64),
    "b64_s512x56_s8192x8_hq32_hkv8_d128": MixedInput((*[512] * 56, *[8192] * 8), 32, 8, 128),
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
RECALL_INPUTS = {"b32_s8_f8_z8_n60": RecallInput(32, 8, 8, 8, 60)}
TRAIN_INPUTS = {
    "b4_t256_c64_n2": TrainInput(4, 256, 64, 2, 256),  # seed 000's B=4, T=256, on a model small enough for each commit
    "b4_t256_c256_n4": TrainInput(4, 256, 256, 4, 1024),
    "b8_t1024_c768_n12": TrainInput(8, 1024, 768, 12, 8192),
}
#: Rows and columns of a square matrix.
GEMM_SIZES = (1024, 4096)
#: MiB of float32.
READ_SIZES = (8, 256)
