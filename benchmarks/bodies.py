"""What benchmarks run: one call of a variant on inputs of a named size, which are made here once."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from benchmarks import devices, formulas, lengths, training
from benchmarks.inputs import alike, normal
from benchmarks.workloads import (
    DECODE_INPUTS,
    DECODER_INPUTS,
    HEAD_INPUTS,
    KERNEL_INPUTS,
    LOCAL_INPUTS,
    PROJECTION_INPUTS,
    ROTARY_INPUTS,
    STRIDED_INPUTS,
    ProjectionInput,
)

Body = Callable[[], object]

PAGE_SIZE = 16  #: divides every length of workloads.py


def head(variant: str, name: str) -> Body:
    """One head's forward, without a graph."""
    size = HEAD_INPUTS[name]
    module = devices.variant("module", variant)(size.width).to(devices.device()).requires_grad_(False)
    x = normal(size.batch, size.length, size.width)
    return lambda: module(x)


def kernel(variant: str, name: str) -> Body:
    """One causal kernel's forward, without a graph."""
    attend = devices.variant("attention", variant)
    q, k, v = alike(KERNEL_INPUTS[name])
    return lambda: attend(q, k, v, is_causal=True)


def backward(variant: str, name: str) -> Body:
    """A causal kernel's forward and the gradients of q, k and v."""
    attend = devices.variant("attention", variant)
    inputs = [t.requires_grad_() for t in alike(KERNEL_INPUTS[name])]
    wanted = torch.ones_like(inputs[0])
    return lambda: torch.autograd.grad(attend(*inputs, is_causal=True), inputs, wanted)


def decode(variant: str, name: str) -> Body:
    """One query, all keys visible, key heads shared."""
    size = DECODE_INPUTS[name]
    attend = devices.variant("attention", variant)
    q = normal(size.batch, size.heads, 1, size.head_width)
    k, v = normal(2, size.batch, size.kv_heads, size.length, size.head_width).unbind()
    return lambda: attend(q, k, v)


def local(variant: str, name: str) -> Body:
    """A kernel that sees a window of positions."""
    size = LOCAL_INPUTS[name]
    attend = devices.variant("local", variant)
    q, k, v = alike(size)
    return lambda: attend(q, k, v, window=size.span)


def strided(variant: str, name: str) -> Body:
    """A kernel that sees every so-many-th position."""
    size = STRIDED_INPUTS[name]
    attend = devices.variant("strided", variant)
    q, k, v = alike(size)
    return lambda: attend(q, k, v, stride=size.span)


def projection(variant: str, name: str) -> Body:
    """Multi-head attention whose q, k and v come from one product or from three."""
    size = PROJECTION_INPUTS[name]
    module = devices.variant("projection", variant)(size.width, size.heads).to(devices.device()).requires_grad_(False)
    x = normal(size.batch, size.length, size.width)
    return lambda: module(x)


def rotary(variant: str, name: str) -> Body:
    """Queries turned by their positions."""
    size = ROTARY_INPUTS[name]
    turn = devices.variant("rotary", variant)(size.head_width, max_length=size.length).to(devices.device())
    x = normal(size.batch, size.heads, size.length, size.head_width)
    return lambda: turn(x)


def cache(variant: str, name: str) -> Body:
    """A decode step at a context of so many positions: append one, attend to all, take it back."""
    size = DECODE_INPUTS[name]
    held = devices.variant("cache", variant)(
        size.batch, size.kv_heads, size.length + 1, size.head_width, device=devices.device()
    )
    held.append(*normal(2, size.batch, size.kv_heads, size.length, size.head_width).unbind())
    q = normal(size.batch, size.heads, 1, size.head_width)
    k, v = normal(2, size.batch, size.kv_heads, 1, size.head_width).unbind()

    def step() -> Tensor:
        held.append(k, v)
        out: Tensor = held.attend(q)
        held.truncate(size.length)
        return out

    return step


def parts(size: ProjectionInput) -> dict[str, Body]:
    """The steps of the attention pipeline, each on what the steps before it give, and the whole."""
    project, score, hide, weigh, mix, run = map(
        devices.member,
        (
            "qkv_projection",
            "attention_scores",
            "masked_scores",
            "attention_weights",
            "attention_output",
            "attention_pipeline",
        ),
    )
    x = normal(size.batch, size.length, size.width)
    qkv_weight, out_weight = (size.width**-0.5 * normal(rows * size.width, size.width) for rows in (3, 1))
    turn = devices.variant("rotary", "complex")(size.width // size.heads, max_length=size.length).to(x.device)
    hidden = devices.variant("mask", "cached")(size.length, device=x.device)
    q, k, v = project(x, qkv_weight, num_heads=size.heads)
    scores = score(q, k)
    weights = weigh(hide(scores, hidden), may_be_dead=False)
    return {
        "projection": lambda: project(x, qkv_weight, num_heads=size.heads),
        "rotation": lambda: (turn(q), turn(k)),
        "scores": lambda: score(q, k),
        "mask": lambda: hide(scores, hidden),
        "softmax": lambda: weigh(scores, may_be_dead=False),
        "output": lambda: mix(weights, v),
        "whole": lambda: run(x, qkv_weight, out_weight, num_heads=size.heads, mask=hidden, rotary=turn),
    }


def part(variant: str, name: str) -> Body:
    """One step of the attention pipeline."""
    return parts(PROJECTION_INPUTS[name])[variant]


def prefill(variant: str, name: str) -> Body:
    """A whole prompt at once: keep its keys and values, and attend."""
    size = DECODE_INPUTS[name]
    held = devices.variant("cache", variant)(
        size.batch, size.kv_heads, size.length, size.head_width, device=devices.device()
    )
    q = normal(size.batch, size.heads, size.length, size.head_width)
    k, v = normal(2, size.batch, size.kv_heads, size.length, size.head_width).unbind()

    def prompt() -> Tensor:
        held.reset()
        held.append(k, v)
        out: Tensor = held.attend(q)
        return out

    return prompt


def decoder(variant: str, name: str, *, wrap: Callable[[Any], Any] | None = None) -> Body:
    """A decoder's forward and the gradients of its weights; `wrap` gets the model first: torch.compile, say."""
    size = DECODER_INPUTS[name]
    model = devices.variant("decoder", variant)(size.width, size.width, size.width).to(devices.device())
    model = wrap(model) if wrap else model
    inputs, encoder = normal(size.batch, size.steps, size.width), normal(size.batch, size.positions, size.width)
    summary, weights = normal(size.batch, size.width), list(model.parameters())
    return lambda: torch.autograd.grad(model(inputs, encoder, summary).square().mean(), weights)


def int8(variant: str, name: str) -> Body:
    """The projection to queries, keys and values as one linear layer."""
    size = PROJECTION_INPUTS[name]
    linear = torch.nn.Linear(size.width, 3 * size.width, bias=False).to(devices.device()).requires_grad_(False)
    layer = devices.variant("int8", variant)(linear)
    x = normal(size.batch, size.length, size.width)
    return lambda: layer(x)


def mask(variant: str, length: int) -> Body:
    """One additive causal mask."""
    build = devices.variant("mask", variant)
    return lambda: build(length, device=devices.device())


def paged_decode(variant: str, name: str) -> Body:
    """One query of each sequence, its keys and values in pages that lie anywhere."""
    size = DECODE_INPUTS[name]
    attend = devices.variant("paged_decode", variant)
    pages = size.batch * (size.length // PAGE_SIZE)
    q = normal(size.batch, size.heads, size.head_width)
    k, v = normal(2, size.kv_heads, pages * PAGE_SIZE, size.head_width).unbind()
    table = torch.randperm(pages, dtype=torch.int32).view(size.batch, -1).to(q.device)
    held = torch.full((size.batch,), size.length, dtype=torch.int32).to(q.device)
    return lambda: attend(q, k, v, table, held, page_size=PAGE_SIZE)


def gemm(variant: str, size: int) -> Body:
    """A product of two square matrices of a dtype."""
    left, right = normal(2, size, size).to(getattr(torch, variant)).unbind()
    return lambda: left @ right


def read(variant: str, mebibytes: int) -> Body:
    """One pass over so many MiB of float32."""
    numbers = normal(mebibytes * 2**18)
    return {"sum": numbers.sum}[variant]


def dispatch(variant: str, size: int) -> Body:
    """An operator on next to nothing: what calling it costs."""
    x = normal(1, size)
    linear = torch.nn.Linear(size, size).to(x.device).requires_grad_(False)
    return {"add": lambda: x + x, "linear": lambda: linear(x)}[variant]


BUILDERS: dict[str, Callable[[str, Any], Body]] = {
    "head": head,
    "kernel": kernel,
    "backward": backward,
    "decode": decode,
    "local": local,
    "strided": strided,
    "projection": projection,
    "rotary": rotary,
    "part": part,
    "cache": cache,
    "prefill": prefill,
    "decoder": decoder,
    "int8": int8,
    "mask": mask,
    "paged_decode": paged_decode,
    "mixed": lengths.mixed,
    "train": training.train,
    "mode": training.mode,
    "step part": training.step_parts,
    "recall": training.recalled,
    "kernel flops": formulas.kernel_flops,
    "kernel bytes": formulas.kernel_bytes,
    "decode flops": formulas.decode_flops,
    "decode bytes": formulas.decode_bytes,
    "kernel error": formulas.kernel_error,
    "cache error": formulas.cache_error,
    "int8 error": formulas.int8_error,
    "gemm": gemm,
    "read": read,
    "dispatch": dispatch,
}
