"""The bodies that benchmarks run: built once a process on fixed inputs, warmed, told about, kept in a bounded cache.

asv's setup hooks would make every sample a single call, so there are none: the first call of a benchmark builds its
case while asv still warms up, every later call finds it.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch

from benchmarks import devices, observe
from benchmarks.workloads import HEAD_INPUTS, KERNEL_INPUTS, TRAIN_INPUTS

Body = Callable[[], object]


def head(variant: str, name: str) -> Body:
    """One head's forward, without a graph."""
    size = HEAD_INPUTS[name]
    module = devices.variant("module", variant)(size.width).to(devices.device()).requires_grad_(False)
    x = torch.randn(size.batch, size.length, size.width).to(devices.device())
    return lambda: module(x)


def kernel(variant: str, name: str) -> Body:
    """One causal kernel's forward, without a graph."""
    size = KERNEL_INPUTS[name]
    attend = devices.variant("attention", variant)
    q, k, v = torch.randn(3, size.batch, size.heads, size.length, size.head_width).to(devices.device()).unbind()
    return lambda: attend(q, k, v, is_causal=True)


def mask(variant: str, length: int) -> Body:
    """One additive causal mask."""
    build = devices.variant("mask", variant)
    return lambda: build(length, device=devices.device())


def train(variant: str, name: str) -> Body:
    """One optimisation step: forward, loss, backward, AdamW."""
    size = TRAIN_INPUTS[name]
    build = devices.variant("train", variant)
    step = devices.measured().train_step
    model = build(size.vocabulary, size.width, size.layers, max_length=size.length).to(devices.device())
    # At a learning rate of zero the thousandth step works on the numbers of the first.
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0)
    tokens, targets = devices.measured().synthetic_batch(
        size.batch, size.length, size.vocabulary, device=devices.device()
    )
    return lambda: step(model, optimizer, tokens, targets)


BUILDERS: dict[str, Callable[[str, Any], Body]] = {"head": head, "kernel": kernel, "mask": mask, "train": train}


@lru_cache(maxsize=4)
def case(benchmark: str, kind: str, variant: str, name: object) -> Body:
    """Build a case, warm it up, and tell the facts file what it does. `benchmark` is asv's name of the caller."""
    devices.prepare()
    torch.manual_seed(0)
    params = (variant, name)
    try:
        body = BUILDERS[kind](variant, name)
        body()
    except NotImplementedError as reason:
        devices.tell(benchmark, params, {"skipped": str(reason), "device_state": devices.state()})
        devices.skip(str(reason))
    if devices.facts_wanted():
        seen = observe.operators(body)
        devices.tell(
            benchmark,
            params,
            {
                "operators": seen.counts,
                "backend": seen.backend,
                "device_state": devices.state(),
                "imported_from": str(devices.measured().__file__),
            },
        )
    return body
