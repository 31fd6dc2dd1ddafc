"""Attention in PyTorch: each optimisation beside the code it replaced, under one interface, both measured."""

from attention import catalogue  # noqa: F401  (fills the registry)
from attention.errors import CacheFull, ShapeError, Unsupported
from attention.functional import masked_attention, naive_attention, sdpa_attention
from attention.masks import CausalMaskCache, causal_mask, padding_mask, sliding_window_mask, strided_mask
from attention.model import TransformerLM
from attention.modules import SingleHeadAttention
from attention.reference import attention_reference
from attention.registry import Case, Variant, register, unsupported, variants
from attention.training import synthetic_batch, train_step

__all__ = [
    "CacheFull",
    "Case",
    "CausalMaskCache",
    "ShapeError",
    "SingleHeadAttention",
    "TransformerLM",
    "Unsupported",
    "Variant",
    "attention_reference",
    "causal_mask",
    "masked_attention",
    "naive_attention",
    "padding_mask",
    "register",
    "sdpa_attention",
    "sliding_window_mask",
    "strided_mask",
    "synthetic_batch",
    "train_step",
    "unsupported",
    "variants",
]
