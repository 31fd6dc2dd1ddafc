"""Every form of every operation under its name. The name is the identity of its benchmarks: it is never changed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch

from attention.errors import ShapeError

Kind = Literal[
    "attention",
    "local",
    "strided",
    "module",
    "projection",
    "rotary",
    "cache",
    "paged_decode",
    "int8",
    "decoder",
    "mask",
    "train",
]

DEVICES = ("cpu", "mps", "cuda")
DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to do one thing, and what it can do.

    `build` by kind: attention a `Kernel`; local (q, k, v, *, window, scale) -> out; strided the same with stride;
    module (embed_dim, head_dim) -> nn.Module; projection (embed_dim, num_heads, *, num_kv_heads) -> MultiHeadAttention;
    rotary (dim, *, max_length) -> nn.Module; mask (L, *, dtype, device) -> additive mask;
    cache (batch, kv_heads, max_length, key_dim, value_dim=None, *, dtype, device) -> KVCache;
    int8 (linear) -> nn.Module;
    decoder (input_size, hidden_size, output_size) -> nn.Module from inputs, encoder and summary;
    paged_decode (q, k_arena, v_arena, page_table, lengths, *, page_size, scale) -> out;
    train (vocab_size, dim, num_layers, *, max_length) -> nn.Module from tokens to logits.
    """

    name: str
    kind: Kind
    build: Callable[..., Any]
    baseline: str  #: the variant of this kind that it is compared with; its own name for the baseline
    seed: str = ""  #: the source document that described or measured it
    devices: tuple[str, ...] = DEVICES
    dtypes: tuple[torch.dtype, ...] = DTYPES
    backward: bool = True
    causal: bool = True
    mask: bool = False
    dropout: bool = False
    gqa: bool = False  #: fewer key heads than query heads
    value_dim: bool = False  #: values of another width than keys


@dataclass(frozen=True, slots=True)
class Case:
    """What is asked of a variant."""

    device: str = "cpu"
    dtype: torch.dtype = torch.float32
    backward: bool = False
    causal: bool = False
    mask: bool = False
    dropout: bool = False
    gqa: bool = False
    value_dim: bool = False


_VARIANTS: dict[tuple[str, str], Variant] = {}


def register(variant: Variant) -> Variant:
    """Add a variant. Raises: ShapeError when its kind already has one of that name."""
    key = (variant.kind, variant.name)
    if key in _VARIANTS:
        raise ShapeError(f"register: {variant.kind} {variant.name!r} is already registered")
    _VARIANTS[key] = variant
    return variant


def variants(kind: Kind, *, device: str | None = None, dtype: torch.dtype | None = None) -> tuple[Variant, ...]:
    """Return the variants of a kind in order of registration; those that run on `device` and in `dtype`, if given."""
    return tuple(
        variant
        for variant in _VARIANTS.values()
        if variant.kind == kind
        and (device is None or device in variant.devices)
        and (dtype is None or dtype in variant.dtypes)
    )


def unsupported(variant: Variant, case: Case) -> list[str]:
    """Say why a variant cannot do a case, one reason each; empty when it can."""
    reasons = []
    if case.device not in variant.devices:
        reasons.append(f"{variant.name} does not run on {case.device}")
    if case.dtype not in variant.dtypes:
        reasons.append(f"{variant.name} does not take {case.dtype}")
    if case.device == "mps" and case.dtype == torch.float64:
        reasons.append("mps has no float64")
    abilities = ("backward", "causal", "mask", "dropout", "gqa", "value_dim")
    reasons += [f"{variant.name} has no {a}" for a in abilities if getattr(case, a) and not getattr(variant, a)]
    return reasons
