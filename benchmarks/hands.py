"""The same work by several hands: the library's, and those of its peers, on the same weights and inputs.

A peer that is not here ends in Missing, which says how to get it. Nothing of a peer is imported before it is asked for.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import SimpleNamespace

import torch
from torch import Tensor, nn

from benchmarks import compiler, devices
from benchmarks.inputs import normal

Hand = Callable[[], Tensor]


class Missing(RuntimeError):
    """A peer is not here. The message says how to get it."""


@dataclass(frozen=True, slots=True)
class Hands:
    """One piece of work: every hand returns the same numbers."""

    ours: Hand
    peers: Mapping[str, Hand]
    plain: Hand  #: torch's plainest way, in the same dtype: its error says how large an error may be
    exact: Hand  #: in float64, on the CPU


def self_attention(batch: int, length: int, width: int, heads: int, *, causal: bool) -> Hands:
    """A whole module's forward in eval mode, with projections and without a graph."""
    attention = devices.measured().MultiHeadAttention
    x = normal(batch, length, width)
    ours, plain, exact = (attention(width, heads, causal=causal, backend=b) for b in ("grouped", "naive", "naive"))
    for module in (plain, exact):
        module.load_state_dict(ours.state_dict())
    exact.double()
    torchs = _torch_module(ours.state_dict(), heads)
    for module in (ours, plain, torchs):
        module.to(x.device).eval().requires_grad_(False)
    mask = nn.Transformer.generate_square_subsequent_mask(length, device=x.device) if causal else None

    def fast() -> Tensor:
        out: Tensor = torchs(x, x, x, need_weights=False)[0]
        return out

    def general() -> Tensor:
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            out: Tensor = torchs(x, x, x, need_weights=False, attn_mask=mask, is_causal=causal)[0]
        finally:
            torch.backends.mha.set_fastpath_enabled(True)
        return out

    peers = {"nn.MultiheadAttention": general}
    if not causal:
        peers["nn.MultiheadAttention, fast path"] = fast
    return Hands(lambda: ours(x), peers, lambda: plain(x), lambda: exact(_wide(x)))


def decode_step(heads: int, kv_heads: int, width: int, held: int) -> Hands:
    """Append one position to a cache, attend to all, and take it back; without projections."""
    attention = devices.measured()
    q, (k, v) = normal(1, heads, 1, width), normal(2, 1, kv_heads, held + 1, width).unbind()
    before, new = (k[:, :, :held], v[:, :, :held]), (k[:, :, held:], v[:, :, held:])
    room = held + 256
    cache = attention.StaticKVCache(1, kv_heads, room, width, device=q.device)
    cache.append(*before)

    def step() -> Tensor:
        cache.append(*new)
        out: Tensor = cache.attend(q)
        cache.truncate(held)
        return out

    copies = [t.repeat_interleave(heads // kv_heads, dim=1) for t in (k, v)]
    return Hands(
        step,
        _transformers_steps(q, before, new, room=room),
        lambda: attention.naive_attention(q, *copies),
        lambda: attention.naive_attention(*map(_wide, (q, *copies))),
    )


def local_attention(length: int, window: int) -> Hands:
    """Eight heads of 64, each query with the positions of a window."""
    flex = _compiled_flex()
    q, k, v = normal(3, 1, 8, length, 64).unbind()

    def near(_batch: Tensor, _head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return (query >= key) & (query - key < window)

    create = import_module("torch.nn.attention.flex_attention").create_block_mask
    blocks = create(near, None, None, length, length, device=q.device.type)
    ours, masked = (devices.variant("local", name) for name in ("blocked", "masked"))
    return Hands(
        lambda: ours(q, k, v, window=window),
        {"flex_attention, compiled": lambda: flex(q, k, v, block_mask=blocks)},
        lambda: masked(q, k, v, window=window),
        lambda: masked(*map(_wide, (q, k, v)), window=window),
    )


def _wide(t: Tensor) -> Tensor:
    """In float64, on the CPU: MPS has none."""
    return t.cpu().double()


def _torch_module(weights: Mapping[str, Tensor], heads: int) -> nn.MultiheadAttention:
    """With biases of zero: without any, it takes no fast path, and its projections are a product for each position."""
    width, _ = weights["out.weight"].shape
    made = nn.MultiheadAttention(width, heads, batch_first=True)
    given = {"in_proj_weight": weights["qkv.weight"], "out_proj.weight": weights["out.weight"]}
    made.load_state_dict({**made.state_dict(), **given})  # the biases that it begins with are zeros
    return made


def _transformers_steps(
    q: Tensor, before: tuple[Tensor, Tensor], new: tuple[Tensor, Tensor], *, room: int
) -> dict[str, Hand]:
    try:
        transformers = import_module("transformers")
        attend = import_module("transformers.integrations.sdpa_attention").sdpa_attention_forward
    except ImportError:
        raise Missing("transformers is not installed: pip install -e '.[peers]'") from None
    held, group = before[0].shape[2], q.shape[1] // new[0].shape[1]
    layer = SimpleNamespace(num_key_value_groups=group, is_causal=True, layer_idx=0)
    growing = transformers.DynamicCache()
    fixed = transformers.StaticCache(transformers.LlamaConfig(num_hidden_layers=1), max_cache_len=room)
    for cache in (growing, fixed):
        cache.update(*before, 0)
    # A model makes one mask a step for all of its layers: it is not counted.
    seen = (torch.arange(room, device=q.device) <= held)[None, None, None]

    def growing_step() -> Tensor:
        out: Tensor = attend(layer, q, *growing.update(*new, 0), None)[0]
        growing.crop(-1)
        return out.transpose(1, 2)

    def fixed_step() -> Tensor:
        out: Tensor = attend(layer, q, *fixed.update(*new, 0), seen)[0]
        fixed.layers[0].cumulative_length.fill_(held)
        return out.transpose(1, 2)

    name = f"transformers {transformers.__version__}"
    return {f"{name} DynamicCache": growing_step, f"{name} StaticCache": fixed_step}


def _compiled_flex() -> Callable[..., Tensor]:
    """Raises: Missing when torch.compile lacks something here."""
    if reason := compiler.lacking():
        raise Missing(f"flex_attention wants {reason}")
    compiled: Callable[..., Tensor] = torch.compile(
        import_module("torch.nn.attention.flex_attention").flex_attention, dynamic=False
    )
    return compiled
