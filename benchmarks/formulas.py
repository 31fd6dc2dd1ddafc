"""Bodies that compute what the measured commit says of itself: operations, bytes, and how far it is from the oracle."""

from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks import devices
from benchmarks.inputs import alike, normal
from benchmarks.workloads import DECODE_INPUTS, KERNEL_INPUTS, PROJECTION_INPUTS

Count = Callable[[], float]


def kernel_flops(variant: str, name: str) -> Count:
    """Operations of a causal kernel."""
    count, size = devices.submodule("cost").attention_flops, KERNEL_INPUTS[name]
    lengths = (size.length, size.length)
    return {"forward": lambda: count(size.batch, size.heads, *lengths, size.head_width, is_causal=True)}[variant]


def kernel_bytes(variant: str, name: str) -> Count:
    """Bytes that a kernel must move."""
    count, size = devices.submodule("cost").attention_bytes, KERNEL_INPUTS[name]
    lengths = (size.length, size.length)
    return {"forward": lambda: count(size.batch, size.heads, size.heads, *lengths, size.head_width)}[variant]


def decode_flops(variant: str, name: str) -> Count:
    """Operations of one query of each head."""
    count, size = devices.submodule("cost").attention_flops, DECODE_INPUTS[name]
    return {"step": lambda: count(size.batch, size.heads, 1, size.length, size.head_width)}[variant]


def decode_bytes(variant: str, name: str) -> Count:
    """Bytes of the keys and values that a step reads."""
    count, size = devices.submodule("cost").decode_bytes, DECODE_INPUTS[name]
    return {"step": lambda: count(size.batch, size.kv_heads, size.length, size.head_width)}[variant]


def kernel_error(variant: str, name: str) -> Count:
    """The largest difference between a causal kernel and the oracle in float64."""
    attend, oracle = devices.variant("attention", variant), devices.member("attention_reference")
    q, k, v = alike(KERNEL_INPUTS[name])
    exact = oracle(*map(_wide, (q, k, v)), is_causal=True)
    return lambda: _largest(_wide(attend(q, k, v, is_causal=True)) - exact)


def cache_error(variant: str, name: str) -> Count:
    """The largest difference between one query's result through a cache and the oracle's, over the oracle's largest."""
    oracle, size = devices.member("attention_reference"), DECODE_INPUTS[name]
    build = devices.variant("cache", variant)
    q = normal(size.batch, size.heads, 1, size.head_width)
    k, v = normal(2, size.batch, size.kv_heads, size.length, size.head_width).unbind()
    copies = [_wide(t).repeat_interleave(size.heads // size.kv_heads, dim=1) for t in (k, v)]
    exact = oracle(_wide(q), *copies)

    def compare() -> float:
        held = build(size.batch, size.kv_heads, size.length, size.head_width, device=q.device)
        held.append(k, v)
        return _largest(_wide(held.attend(q)) - exact) / _largest(exact)

    return compare


def int8_error(variant: str, name: str) -> Count:
    """The relative error of a projection with weights of one byte: Frobenius norms, beside the layer in float64."""
    size = PROJECTION_INPUTS[name]
    linear = torch.nn.Linear(size.width, 3 * size.width, bias=False).requires_grad_(False)
    x = normal(size.batch, size.length, size.width)
    exact = _wide(x) @ linear.weight.double().T
    layer = devices.variant("int8", variant)(linear.to(x.device))
    return lambda: float((_wide(layer(x)) - exact).norm() / exact.norm())


def _wide(t: Tensor) -> Tensor:
    """In float64, on the CPU: MPS has none."""
    return t.detach().cpu().double()


def _largest(t: Tensor) -> float:
    return t.abs().max().item()
