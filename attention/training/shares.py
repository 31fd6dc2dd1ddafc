"""Where the time of a training step goes: what a faster attention can be worth at most (Amdahl's law, seed 000)."""

from collections import defaultdict
from collections.abc import Callable

import torch
from torch import Tensor, nn

from attention.clock import device_clock
from attention.errors import Unsupported
from attention.model import TransformerLM
from attention.training.language import train_step

#: Embeddings, norms, residuals and head are `other`; `backward` holds the loss, too.
PARTS = ("attention", "feed_forward", "other", "backward", "optimizer")


def step_shares(
    model: nn.Module, optimizer: torch.optim.Optimizer, tokens: Tensor, targets: Tensor
) -> dict[str, float]:
    """Take one `train_step` and tell the seconds of each of PARTS; together they are the whole step.

    On one CPU thread these are its own seconds, else the wall's. A device is waited for at each border, which makes the
    sum more than an undisturbed step takes. Warm up by a step before.

    Raises: Unsupported when the model is not a TransformerLM (a compiled one has no borders); others as `train_step`.
    Source: seed 000, "full train step".
    """
    if not isinstance(model, TransformerLM):
        raise Unsupported(f"step_shares: {type(model).__name__}, wanted a TransformerLM: its blocks' parts are timed")
    clock = device_clock(tokens.device)
    began: dict[str, float] = {}
    spent: defaultdict[str, float] = defaultdict(float)

    def begin(part: str) -> Callable[..., None]:
        return lambda *_: began.update({part: clock()})

    def end(part: str) -> Callable[..., None]:
        def hook(*_: object) -> None:
            spent[part] += clock() - began[part]

        return hook

    modules: list[tuple[str, nn.Module]] = [("forward", model)]
    for block in model.blocks:
        modules += [(part, block.get_submodule(part)) for part in ("attention", "feed_forward")]
    handles = [optimizer.register_step_pre_hook(begin("optimizer"))]
    handles += [optimizer.register_step_post_hook(end("optimizer"))]
    for part, module in modules:
        handles += [module.register_forward_pre_hook(begin(part)), module.register_forward_hook(end(part))]
    try:
        begin("step")()
        train_step(model, optimizer, tokens, targets)
        end("step")()
    finally:
        for handle in handles:
            handle.remove()
    spent["other"] = spent["forward"] - spent["attention"] - spent["feed_forward"]
    spent["backward"] = spent["step"] - spent["forward"] - spent["optimizer"]
    return {part: spent[part] for part in PARTS}
