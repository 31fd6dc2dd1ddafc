"""What is registered, one line a variant. Append only: the benchmarks' parameters are these names."""

from functools import partial

from attention import masks
from attention.functional import masked_attention, naive_attention, sdpa_attention
from attention.model import TransformerLM
from attention.modules import FORMS, Form, SingleHeadAttention
from attention.registry import Variant, register

_kernel = partial(Variant, kind="attention", baseline="naive", mask=True, dropout=True, value_dim=True)
register(_kernel(name="naive", build=naive_attention, seed="000"))
register(_kernel(name="masked", build=masked_attention, seed="000"))
register(_kernel(name="sdpa", build=sdpa_attention, seed="001"))

for form in FORMS:
    register(Variant(form, "module", partial(SingleHeadAttention, form=form), baseline="plain", seed="000"))

_mask = partial(Variant, kind="mask", baseline="full_triu", backward=False)
register(_mask(name="element_loop", build=masks.mask_by_element_loop, seed="004"))
register(_mask(name="full_triu", build=masks.mask_by_full_triu, seed="004"))
register(_mask(name="tril_fill", build=masks.mask_by_tril_fill, seed="004"))
register(_mask(name="bool_tril", build=masks.mask_by_bool_tril, seed="004"))
register(_mask(name="cached", build=masks.mask_by_cache, seed="004"))

TRAINED: tuple[Form, ...] = ("plain", "cached", "sdpa")
for form in TRAINED:
    register(Variant(form, "train", partial(TransformerLM, form=form), baseline="plain", seed="000"))
