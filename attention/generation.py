"""Text a token at a time: the prompt at once, then a token's keys and values a step, kept in a cache for each block.

Nothing is read back to the host: tokens stay on the device until the caller looks at them.
Axes: b batch, l positions, c channels, v vocabulary.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from attention.caches import KVCache
from attention.clock import device_clock
from attention.errors import ShapeError
from attention.model import TransformerLM

MakeCache = Callable[[], KVCache]


def prefill(model: TransformerLM, tokens: Tensor, caches: Sequence[KVCache]) -> Tensor:
    """Take in a prompt, or the next piece of one; tell the logits of what follows its last token.

    Shapes: tokens [B, L]; result [B, vocab_size]. Memory: a block's activations, and what the caches keep.
    Cost: the model's forward on L tokens, its head on one.
    Raises: ShapeError when there is no token, and as TransformerLM.
    """
    if tokens.dim() != 2 or tokens.shape[1] < 1:
        raise ShapeError(f"prefill: tokens {list(tokens.shape)}, wanted [B, L] with L >= 1")
    hidden_blc = model.hidden(tokens, caches=caches)
    return model.logits(hidden_blc[:, -1])


def decode(model: TransformerLM, token: Tensor, caches: Sequence[KVCache]) -> Tensor:
    """One step: a token of each sequence, and the logits of the next.

    Shapes: token [B]; result [B, vocab_size]. Cost: the model's weights and the caches read once.
    Raises: ShapeError when token is not [B], and as TransformerLM.
    """
    if token.dim() != 1:
        raise ShapeError(f"decode: token {list(token.shape)}, wanted [B]")
    return prefill(model, token[:, None], caches)


class Throughput(NamedTuple):
    """Tokens a second, of all sequences together."""

    prefill: float
    decode: float


@torch.no_grad()
def measure_throughput(
    model: TransformerLM, tokens: Tensor, new_tokens: int, make_cache: MakeCache, *, rounds: int = 5
) -> Throughput:
    """Time a prompt and the steps after it, `rounds` times from empty caches; the best round of each counts.

    Shapes: tokens [B, L]. Memory: as `generate`.
    Raises: ShapeError when new_tokens or rounds < 1, and as TransformerLM.
    Source: seed 003, "throughput"; the clock is that of `attention.clock`.
    """
    if min(new_tokens, rounds) < 1:
        raise ShapeError(f"measure_throughput: new_tokens={new_tokens}, rounds={rounds}, wanted >= 1")
    clock = device_clock(tokens.device)
    took_prompt = took_steps = math.inf
    for _ in range(rounds):
        caches = [make_cache() for _ in model.blocks]
        began = clock()
        token = prefill(model, tokens, caches).argmax(dim=-1)
        held = clock()
        for _ in range(new_tokens):
            token = decode(model, token, caches).argmax(dim=-1)
        ended = clock()
        took_prompt, took_steps = min(took_prompt, held - began), min(took_steps, ended - held)
    return Throughput(tokens.numel() / took_prompt, tokens.shape[0] * new_tokens / took_steps)


@torch.no_grad()
def generate(model: TransformerLM, tokens: Tensor, new_tokens: int, make_cache: MakeCache) -> Tensor:
    """Continue each sequence by its most probable tokens.

    Shapes: tokens [B, L]; result [B, L + new_tokens].
    Raises: ShapeError when new_tokens < 1, and as TransformerLM.
    """
    if new_tokens < 1:
        raise ShapeError(f"generate: new_tokens={new_tokens}, wanted >= 1")
    caches = [make_cache() for _ in model.blocks]
    said = [prefill(model, tokens, caches).argmax(dim=-1)]
    while len(said) < new_tokens:
        said.append(decode(model, said[-1], caches).argmax(dim=-1))
    return torch.cat((tokens, torch.stack(said, dim=1)), dim=1)
