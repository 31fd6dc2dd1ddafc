"""Attention in PyTorch: each optimisation beside the code it replaced, under one interface, both measured."""

from attention import catalogue  # noqa: F401  (fills the registry)
from attention.adaptive import AdaptiveKVCache, Crossover, measure_crossover
from attention.autoencoder import AttentionAutoencoder, RNNAutoencoder
from attention.caches import ConcatKVCache, EncoderKV, GrowingKVCache, KVCache, StaticKVCache
from attention.chunked import checkpointed_attention, chunked_attention
from attention.decoder import AttentionDecoder, RNNDecoder
from attention.distillation import Distillation, distill_step, distillation_loss
from attention.errors import CacheFull, ShapeError, Unsupported
from attention.functional import Kernel, masked_attention, naive_attention, sdpa_attention, sdpa_backend
from attention.generation import Throughput, decode, generate, measure_throughput, prefill
from attention.grouped import (
    attention_state,
    grouped_query_attention,
    merge_attention_states,
    repeated_kv_attention,
    split_kv_attention,
)
from attention.kernels.paged_decode import gathered_decode, page_tables, paged_decode
from attention.masks import CausalMaskCache, causal_mask, padding_mask, sliding_window_mask, strided_mask
from attention.model import TransformerLM
from attention.modules import SingleHeadAttention
from attention.multihead import MultiHeadAttention
from attention.paging import PagedKVCache
from attention.pipeline import (
    attention_output,
    attention_pipeline,
    attention_scores,
    attention_weights,
    masked_scores,
    qkv_projection,
)
from attention.presets import PRESETS, Preset, preset
from attention.quantization import Int8Linear, quantize_int8_, quantize_kv
from attention.quantized_cache import QuantizedKVCache
from attention.reference import attention_reference
from attention.registry import Case, Variant, register, unsupported, variants
from attention.rotary import RotaryEmbedding, apply_rotary_complex, apply_rotary_emb
from attention.sparse import local_attention, strided_attention
from attention.training import (
    RecallTask,
    cosine_score,
    evaluate_cosine,
    recall_step,
    step_shares,
    synthetic_batch,
    train_step,
)

__all__ = [
    "PRESETS",
    "AdaptiveKVCache",
    "AttentionAutoencoder",
    "AttentionDecoder",
    "CacheFull",
    "Case",
    "CausalMaskCache",
    "ConcatKVCache",
    "Crossover",
    "Distillation",
    "EncoderKV",
    "GrowingKVCache",
    "Int8Linear",
    "KVCache",
    "Kernel",
    "MultiHeadAttention",
    "PagedKVCache",
    "Preset",
    "QuantizedKVCache",
    "RNNAutoencoder",
    "RNNDecoder",
    "RecallTask",
    "RotaryEmbedding",
    "ShapeError",
    "SingleHeadAttention",
    "StaticKVCache",
    "Throughput",
    "TransformerLM",
    "Unsupported",
    "Variant",
    "apply_rotary_complex",
    "apply_rotary_emb",
    "attention_output",
    "attention_pipeline",
    "attention_reference",
    "attention_scores",
    "attention_state",
    "attention_weights",
    "causal_mask",
    "checkpointed_attention",
    "chunked_attention",
    "cosine_score",
    "decode",
    "distill_step",
    "distillation_loss",
    "evaluate_cosine",
    "gathered_decode",
    "generate",
    "grouped_query_attention",
    "local_attention",
    "masked_attention",
    "masked_scores",
    "measure_crossover",
    "measure_throughput",
    "merge_attention_states",
    "naive_attention",
    "padding_mask",
    "page_tables",
    "paged_decode",
    "prefill",
    "preset",
    "qkv_projection",
    "quantize_int8_",
    "quantize_kv",
    "recall_step",
    "register",
    "repeated_kv_attention",
    "sdpa_attention",
    "sdpa_backend",
    "sliding_window_mask",
    "split_kv_attention",
    "step_shares",
    "strided_attention",
    "strided_mask",
    "synthetic_batch",
    "train_step",
    "unsupported",
    "variants",
]
