"""A cache that keeps keys and values as int8 with a float scale for each token and head: a quarter of float32's memory.

The scales are not multiplied into K and V: a key's scale is a factor of its score, a value's of its weight, so that
they touch S numbers a head instead of S times the width. On a CPU this buys memory, not speed: int8 is made float.
Axes: b batch, k key heads, r rows (query heads of a key head, by queries), l queries, s keys, d width, e value width.
"""

import torch
from torch import Tensor

from attention.caches import StaticKVCache
from attention.errors import CacheFull, ShapeError
from attention.masks import shared_masks
from attention.quantization import quantize_kv

#: Queries at a time: a prompt's scores are never in memory as a whole.
CHUNK = 128


class QuantizedKVCache:
    """Memory for `max_length` positions at once, as int8; a step quantises and writes its own, and copies nothing.

    Shapes: as KVCache; key_dim and value_dim may differ; k, v and q in `dtype`.
    Memory: B Hkv max_length (D + Dv + 8) bytes; while attending K or V in float32, and the scores of CHUNK queries.
    Cost: a step moves B Hkv L (D + Dv) bytes; attending 2 B Hq L S (D + Dv) FLOP, B Hkv S (D + Dv) conversions a chunk.
    Raises: CacheFull beyond max_length; ShapeError when sizes, dtypes or devices do not fit.
    Source: seed 001, "INT8 quantization for inference"; Liu et al. 2024, arXiv:2402.02750.
    """

    def __init__(
        self,
        batch: int,
        kv_heads: int,
        max_length: int,
        key_dim: int,
        value_dim: int | None = None,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        sizes = (batch, kv_heads, max_length)
        self._numbers = StaticKVCache(*sizes, key_dim, value_dim, dtype=torch.int8, device=device)
        self._scales = StaticKVCache(*sizes, 1, dtype=torch.float32, device=device)
        self.max_length, self.dtype = max_length, dtype

    @property
    def seq_len(self) -> int:
        return self._numbers.seq_len

    @property
    def nbytes(self) -> int:
        return self._numbers.nbytes + self._scales.nbytes

    def append(self, k: Tensor, v: Tensor) -> None:
        k_numbers, v_numbers = self._numbers.gather()
        self._check("k", k, k_numbers)
        self._check("v", v, v_numbers)
        if k.shape[2] != v.shape[2]:
            raise ShapeError(f"QuantizedKVCache: k {list(k.shape)}, v {list(v.shape)}, wanted as many positions")
        if self.seq_len + k.shape[2] > self.max_length:
            asked = f"{self.seq_len} held and {k.shape[2]} new positions"
            raise CacheFull(f"QuantizedKVCache: {asked}, max_length={self.max_length}")
        (k_numbers, k_scale_bkl), (v_numbers, v_scale_bkl) = quantize_kv(k), quantize_kv(v)
        self._numbers.append(k_numbers, v_numbers)
        self._scales.append(k_scale_bkl[..., None], v_scale_bkl[..., None])

    def attend(self, q: Tensor, *, scale: float | None = None) -> Tensor:
        """Attend to everything held, a chunk of queries at a time. Raises: ShapeError when more queries than keys."""
        self._check_queries(q)
        L, scale = q.shape[2], q.shape[3] ** -0.5 if scale is None else scale
        before = self.seq_len - L
        starts = range(0, L, CHUNK)
        parts = [self._attend(q[:, :, at : at + CHUNK], before + min(at + CHUNK, L), scale) for at in starts]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)

    def _attend(self, q: Tensor, seen: int, scale: float) -> Tensor:
        """What the queries get whose last one sees the first `seen` keys."""
        (k_bksd, v_bkse), (k_scale_bks1, v_scale_bks1) = (
            (k[:, :, :seen], v[:, :, :seen]) for k, v in (self._numbers.gather(), self._scales.gather())
        )
        # Scores of unscaled int8 would leave float16's range: everything between q and the result is float32 at least.
        wide = torch.promote_types(q.dtype, torch.float32)
        q_bkrd = (q.to(wide) * scale).reshape(q.shape[0], k_bksd.shape[1], -1, q.shape[3])
        scores_bkrs = torch.matmul(q_bkrd, k_bksd.to(wide).transpose(-2, -1)) * k_scale_bks1.transpose(-2, -1)
        weights_bkrs = _hide_later_keys(scores_bkrs, q.shape[2]).softmax(dim=-1) * v_scale_bks1.transpose(-2, -1)
        out_bkre = torch.matmul(weights_bkrs, v_bkse.to(wide))
        return out_bkre.reshape(*q.shape[:3], v_bkse.shape[3]).to(q.dtype)

    def gather(self) -> tuple[Tensor, Tensor]:
        numbers, scales = self._numbers.gather(), self._scales.gather()
        k, v = ((t * s).to(self.dtype) for t, s in zip(numbers, scales, strict=True))
        return k, v

    def truncate(self, seq_len: int) -> None:
        if not 0 <= seq_len <= self.seq_len:
            raise ShapeError(f"QuantizedKVCache: truncate({seq_len}), wanted 0 to {self.seq_len}")
        self._numbers.truncate(seq_len)
        self._scales.truncate(seq_len)

    def reset(self) -> None:
        self.truncate(0)

    def _check(self, name: str, new: Tensor, held: Tensor) -> None:
        batch, heads, _, width = held.shape
        fits = new.dim() == 4 and (new.shape[:2], new.shape[3]) == ((batch, heads), width)
        if not fits or new.dtype != self.dtype or new.device != held.device:
            met = f"{name} {list(new.shape)} {new.dtype} on {new.device}"
            wanted = f"[{batch}, {heads}, L, {width}] {self.dtype} on {held.device}"
            raise ShapeError(f"QuantizedKVCache: met {met}, wanted {wanted}")

    def _check_queries(self, q: Tensor) -> None:
        k, _ = self._numbers.gather()
        batch, heads, held, width = k.shape
        fits = q.dim() == 4 and (q.shape[0], q.shape[3]) == (batch, width) and q.shape[1] % heads == 0
        if not (fits and 1 <= q.shape[2] <= held and q.dtype == self.dtype and q.device == k.device):
            met = f"q {list(q.shape)} {q.dtype} on {q.device}"
            wanted = f"[{batch}, a multiple of {heads}, 1 to {held}, {width}] {self.dtype} on {k.device}"
            raise ShapeError(f"QuantizedKVCache: met {met}, wanted {wanted}")


def _hide_later_keys(scores_bkrs: Tensor, queries: int) -> Tensor:
    """Causal, lower-right aligned: only among the last `queries` keys is there one that a query may not see."""
    if queries == 1:
        return scores_bkrs
    allowed_ll = shared_masks.get(queries, queries, device=scores_bkrs.device, dtype=torch.bool)
    scores_bkgls = scores_bkrs.view(*scores_bkrs.shape[:2], -1, queries, scores_bkrs.shape[3])
    scores_bkgls[..., -queries:].masked_fill_(~allowed_ll, -torch.inf)
    return scores_bkrs
