"""Bodies that train: a language model's step, its switches, where its time goes, and the recall task."""

from collections.abc import Callable
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks import compiler, devices
from benchmarks.workloads import RECALL_INPUTS, TRAIN_INPUTS

#: The form of attention in bodies that ask about something else: seed 000's optimised one.
FORM = "cached"


def train(variant: str, name: str) -> Callable[[], Tensor]:
    """One optimisation step: forward, loss, backward, AdamW."""
    step, given = devices.member("train_step"), _ready(variant, name)
    return lambda: step(*given)


def mode(variant: str, name: str) -> Callable[[], Tensor]:
    """The step of `FORM` as it is, with products in bfloat16, or with a compiled model."""
    step = devices.member("train_step")
    if variant == "compiled" and (reason := compiler.lacking()):
        devices.skip(f"torch.compile wants {reason}")
    if variant == "autocast" and "amp" not in signature(step).parameters:
        devices.skip("this commit's train_step has no amp")
    model, *given = _ready(FORM, name)
    prepared = torch.compile(model) if variant == "compiled" else model
    switches: dict[str, Any] = {"amp": torch.bfloat16} if variant == "autocast" else {}
    return lambda: step(prepared, *given, **switches)


def step_parts(variant: str, name: str) -> Callable[[], float]:
    """Seconds that one step of `FORM` spends in one of its parts."""
    shares, given = devices.member("step_shares"), _ready(FORM, name)
    return lambda: float(shares(*given)[variant])


def recalled(variant: str, name: str) -> Callable[[], float]:
    """The cosine between unseen sequences and what a network makes of them; it is trained here."""
    size = RECALL_INPUTS[name]
    task_of, step, evaluate = map(devices.member, ("RecallTask", "recall_step", "evaluate_cosine"))
    rnn, preset = devices.member("RNNAutoencoder"), devices.member("preset")
    width = devices.submodule("presets").WIDTH
    task = task_of(size.batch, size.length, size.feature_size)
    if variant == "rnn":
        model = rnn(size.feature_size, width, size.bottleneck, max_length=size.length)
    else:
        model = preset(variant).autoencoder(size.feature_size, size.bottleneck, max_length=size.length)
    model.to(devices.device())
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for x in task.batches(size.steps, seed=0, device=devices.device()):
        step(model, optimizer, x)
    unseen = list(task.batches(4, seed=-1, device=devices.device()))
    return lambda: float(evaluate(model, unseen))


def _ready(variant: str, name: str) -> tuple[nn.Module, torch.optim.Optimizer, Tensor, Tensor]:
    """Model, optimiser, tokens and targets of a train variant."""
    size = TRAIN_INPUTS[name]
    build = devices.variant("train", variant)
    model = build(size.vocabulary, size.width, size.layers, max_length=size.length).to(devices.device())
    # At a learning rate of zero the thousandth step works on the numbers of the first.
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0)
    tokens, targets = devices.member("synthetic_batch")(
        size.batch, size.length, size.vocabulary, device=devices.device()
    )
    return model, optimizer, tokens, targets
