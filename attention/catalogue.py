"""What is registered, one line a variant. Append only: the benchmarks' parameters are these names."""

from functools import partial
from typing import Any

from torch import nn

from attention import masks
from attention.adaptive import AdaptiveKVCache
from attention.caches import ConcatKVCache, GrowingKVCache, KVCache, StaticKVCache
from attention.chunked import checkpointed_attention, chunked_attention
from attention.decoder import PLAIN, AttentionDecoder, RNNDecoder
from attention.functional import masked_attention, naive_attention, sdpa_attention
from attention.grouped import grouped_query_attention, repeated_kv_attention
from attention.kernels.paged_decode import KERNEL_DTYPES, gathered_decode, paged_decode
from attention.model import TransformerLM
from attention.modules import FORMS, Form, SingleHeadAttention
from attention.multihead import MultiHeadAttention
from attention.paging import PagedKVCache
from attention.quantization import Int8Linear
from attention.quantized_cache import QuantizedKVCache
from attention.registry import Variant, register
from attention.rotary import ROTARY_FORMS, RotaryEmbedding
from attention.sparse import local_attention, masked_local_attention, masked_strided_attention, strided_attention

_kernel = partial(Variant, kind="attention", baseline="naive", mask=True, dropout=True, value_dim=True)
register(_kernel(name="naive", build=naive_attention, seed="000"))
register(_kernel(name="masked", build=masked_attention, seed="000"))
register(_kernel(name="sdpa", build=sdpa_attention, gqa=True, seed="001"))
register(_kernel(name="chunked", build=chunked_attention, seed="002"))
register(_kernel(name="checkpointed", build=checkpointed_attention, seed="002"))
register(_kernel(name="repeated_kv", build=repeated_kv_attention, baseline="repeated_kv", gqa=True, seed="002"))
register(_kernel(name="grouped", build=grouped_query_attention, baseline="repeated_kv", gqa=True, seed="002"))

_local = partial(Variant, kind="local", baseline="masked", gqa=True, value_dim=True, seed="001")
register(_local(name="masked", build=masked_local_attention))
register(_local(name="blocked", build=local_attention))
_strided = partial(Variant, kind="strided", baseline="masked", gqa=True, value_dim=True, seed="001")
register(_strided(name="masked", build=masked_strided_attention))
register(_strided(name="regrouped", build=strided_attention))

for form in FORMS:
    register(Variant(form, "module", partial(SingleHeadAttention, form=form), baseline="plain", seed="000"))

_projection = partial(Variant, kind="projection", baseline="separate", gqa=True, value_dim=True, seed="001")
register(_projection(name="separate", build=partial(MultiHeadAttention, fused_qkv=False)))
register(_projection(name="fused", build=partial(MultiHeadAttention, fused_qkv=True)))

for rotary_form in ROTARY_FORMS:
    build = partial(RotaryEmbedding, form=rotary_form)
    register(Variant(rotary_form, "rotary", build, baseline="recomputed", causal=False, seed="004"))


def _concat(*_: Any, **__: Any) -> KVCache:
    return ConcatKVCache()


def _growing(*_: Any, **__: Any) -> KVCache:
    return GrowingKVCache()


_cache = partial(Variant, kind="cache", baseline="concat", backward=False, gqa=True, value_dim=True, seed="003")
register(_cache(name="concat", build=_concat))
register(_cache(name="static", build=StaticKVCache))
register(_cache(name="growing", build=_growing))
register(_cache(name="paged", build=PagedKVCache))
register(_cache(name="adaptive", build=AdaptiveKVCache))
register(_cache(name="quantized", build=QuantizedKVCache, seed="001"))


_decoder = partial(Variant, kind="decoder", baseline="recompute", causal=False, seed="001")
_recompute = partial(AttentionDecoder, **PLAIN)
_cached = partial(_recompute, cache_encoder_kv=True, step_loop=True)
_sdpa = partial(_cached, backend="sdpa")
register(_decoder(name="recompute", build=_recompute))
register(_decoder(name="cached", build=_cached))
register(_decoder(name="cached_sdpa", build=_sdpa))
register(_decoder(name="fused_context", build=partial(_sdpa, fused_context=True), baseline="cached_sdpa"))
register(_decoder(name="preallocated", build=partial(_sdpa, preallocate=True), baseline="cached_sdpa"))
register(_decoder(name="batched", build=AttentionDecoder))
_fed = partial(_decoder, baseline="input_feeding_recompute")
register(_fed(name="input_feeding_recompute", build=partial(_recompute, input_feeding=True)))
register(_fed(name="input_feeding", build=partial(AttentionDecoder, input_feeding=True)))
_lstm = partial(_decoder, baseline="lstm_split_state")
register(_lstm(name="lstm_split_state", build=partial(AttentionDecoder, cell="lstm", fused_state=False)))
register(_lstm(name="lstm", build=partial(AttentionDecoder, cell="lstm")))
register(_decoder(name="rnn_loop", build=partial(RNNDecoder, step_loop=True), baseline="rnn_loop"))
register(_decoder(name="rnn", build=RNNDecoder, baseline="rnn_loop"))


def _as_it_is(linear: nn.Linear) -> nn.Linear:
    return linear


_int8 = partial(Variant, kind="int8", baseline="float", causal=False, seed="001")
register(_int8(name="float", build=_as_it_is))
register(_int8(name="weight_only", build=partial(Int8Linear.from_linear, mode="weight_only")))
register(_int8(name="dynamic", build=partial(Int8Linear.from_linear, mode="dynamic"), backward=False))

_pages = partial(Variant, kind="paged_decode", baseline="gathered", causal=False, gqa=True, value_dim=True, seed="003")
register(_pages(name="gathered", build=gathered_decode))
register(_pages(name="kernel", build=paged_decode, backward=False, devices=("mps", "cuda"), dtypes=KERNEL_DTYPES))

_mask = partial(Variant, kind="mask", baseline="full_triu", backward=False)
register(_mask(name="element_loop", build=masks.mask_by_element_loop, seed="004"))
register(_mask(name="full_triu", build=masks.mask_by_full_triu, seed="004"))
register(_mask(name="tril_fill", build=masks.mask_by_tril_fill, seed="004"))
register(_mask(name="bool_tril", build=masks.mask_by_bool_tril, seed="004"))
register(_mask(name="cached", build=masks.mask_by_cache, seed="004"))

TRAINED: tuple[Form, ...] = ("plain", "cached", "sdpa")
for form in TRAINED:
    lm = partial(TransformerLM, attention=partial(SingleHeadAttention, form=form))
    register(Variant(form, "train", lm, baseline="plain", seed="000"))
