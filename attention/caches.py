"""What was attended to before, kept for the next step: keys and values by position, behind one interface.

A cache attends by itself, so that what a model is given is what runs: `append` the new tokens' K and V, then `attend`
with their queries, causal and lower-right aligned.
Axes: b batch, k key heads, l new positions, s positions held, d width, e value width.
"""

from typing import Protocol

import torch
from torch import Tensor

from attention.errors import CacheFull, ShapeError, Unsupported
from attention.grouped import grouped_query_attention


class KVCache(Protocol):
    """Shapes: k [B, Hkv, L, D]; v [B, Hkv, L, Dv]; q [B, Hq, L, D]; attend's result [B, Hq, L, Dv]."""

    @property
    def seq_len(self) -> int:
        """Positions held."""
        ...

    @property
    def nbytes(self) -> int:
        """Bytes set aside for keys and values."""
        ...

    def append(self, k: Tensor, v: Tensor) -> None:
        """Keep the next positions. Raises: CacheFull, ShapeError."""
        ...

    def attend(self, q: Tensor, *, scale: float | None = None) -> Tensor:
        """Attend to everything held; the last query is the last position. Raises: ShapeError."""
        ...

    def gather(self) -> tuple[Tensor, Tensor]:
        """All keys and values in order, for tests and for moving to another cache."""
        ...

    def truncate(self, seq_len: int) -> None:
        """Forget all but the first positions. Raises: ShapeError when there are fewer."""
        ...

    def reset(self) -> None:
        """Forget everything, keep the memory."""
        ...


def check_queries(place: str, q: Tensor, held: int) -> None:
    """Raises: ShapeError unless each query has a position: the last is that of the last query."""
    if q.dim() != 4 or not 1 <= q.shape[2] <= held:
        raise ShapeError(f"{place}: q {list(q.shape)}, wanted [B, Hq, L, D] with L from 1 to the {held} positions held")


class _Held:
    """What caches share that hold one K and one V: `_k` and `_v` may be longer than what is held."""

    def __init__(self) -> None:
        self._k: Tensor | None = None
        self._v: Tensor | None = None
        self._length = 0

    @property
    def seq_len(self) -> int:
        return self._length

    @property
    def nbytes(self) -> int:
        return sum(t.nbytes for t in (self._k, self._v) if t is not None)

    def attend(self, q: Tensor, *, scale: float | None = None) -> Tensor:
        k, v = self.gather()
        check_queries(type(self).__name__, q, self._length)
        return grouped_query_attention(q, k, v, is_causal=True, scale=scale)

    def gather(self) -> tuple[Tensor, Tensor]:
        if self._k is None or self._v is None:
            raise ShapeError(f"{type(self).__name__}: nothing was appended yet")
        return self._k[:, :, : self._length], self._v[:, :, : self._length]

    def truncate(self, seq_len: int) -> None:
        if not 0 <= seq_len <= self._length:
            raise ShapeError(f"{type(self).__name__}: truncate({seq_len}), wanted 0 to {self._length}")
        self._length = seq_len

    def reset(self) -> None:
        self._length = 0

    def _write(self, k: Tensor, v: Tensor) -> None:
        """The new positions behind those held, in buffers that have room: nothing else is copied."""
        assert self._k is not None
        assert self._v is not None
        end = self._length + k.shape[2]
        self._k[:, :, self._length : end] = k
        self._v[:, :, self._length : end] = v
        self._length = end

    def _check(self, k: Tensor, v: Tensor) -> None:
        if not (k.dim() == v.dim() == 4 and k.shape[:3] == v.shape[:3] and k.dtype == v.dtype and k.device == v.device):
            met = ", ".join(f"{name} {list(t.shape)} {t.dtype} on {t.device}" for name, t in (("k", k), ("v", v)))
            raise ShapeError(
                f"{type(self).__name__}: met {met}, wanted k [B, Hkv, L, D], v [B, Hkv, L, Dv] of one kind"
            )
        for name, new, old in (("k", k, self._k), ("v", v, self._v)):
            if old is None:
                continue
            fits = (new.shape[:2], new.shape[3], new.dtype, new.device)
            held = (old.shape[:2], old.shape[3], old.dtype, old.device)
            if fits != held:
                met = f"{name} {list(new.shape)} {new.dtype} on {new.device}"
                wanted = f"[{old.shape[0]}, {old.shape[1]}, L, {old.shape[3]}] {old.dtype} on {old.device}"
                raise ShapeError(f"{type(self).__name__}: met {met}, wanted {wanted}")


class ConcatKVCache(_Held):
    """Concatenate at each step: every position is copied again for each new one.

    Memory: what is held, twice while appending. Cost: a step moves 2 B Hkv S (D + Dv) numbers.
    Source: seed 003, "simple attention".
    """

    def append(self, k: Tensor, v: Tensor) -> None:
        self._check(k, v)
        if self._length == 0 or self._k is None or self._v is None:
            self._k, self._v = k, v
        else:
            held_k, held_v = self.gather()
            self._k, self._v = torch.cat((held_k, k), dim=2), torch.cat((held_v, v), dim=2)
        self._length = self._k.shape[2]


class StaticKVCache(_Held):
    """Memory for `max_length` positions at once; a step writes its own and copies nothing.

    Memory: B Hkv max_length (D + Dv) numbers. Cost: a step moves B Hkv L (D + Dv) numbers.
    Raises: CacheFull beyond max_length; ShapeError for sizes below 1.
    Source: seed 003's goal; Pope et al. 2022, arXiv:2211.05102.
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
        super().__init__()
        widths = (key_dim, key_dim if value_dim is None else value_dim)
        if batch < 0 or min(kv_heads, max_length, *widths) < 1:
            met = f"batch={batch}, kv_heads={kv_heads}, max_length={max_length}, widths={widths}"
            raise ShapeError(f"StaticKVCache: met {met}, wanted >= 1, and a batch >= 0")
        self._k, self._v = (torch.zeros(batch, kv_heads, max_length, n, dtype=dtype, device=device) for n in widths)
        self.max_length = max_length

    def append(self, k: Tensor, v: Tensor) -> None:
        self._check(k, v)
        if self._length + k.shape[2] > self.max_length:
            asked = f"{self._length} held and {k.shape[2]} new positions"
            raise CacheFull(f"StaticKVCache: {asked}, max_length={self.max_length}")
        self._write(k, v)


class GrowingKVCache(_Held):
    """Memory for `step` positions more whenever it runs out: a copy of everything once in `step` tokens.

    Memory: up to `step` positions more than are held. Cost: a step moves its own numbers, each `step`-th all.
    Raises: ShapeError when step < 1.
    Source: MLX's cache grows by 256.
    """

    def __init__(self, step: int = 256) -> None:
        super().__init__()
        if step < 1:
            raise ShapeError(f"GrowingKVCache: step={step}, wanted >= 1")
        self.step = step

    def append(self, k: Tensor, v: Tensor) -> None:
        self._check(k, v)
        wanted = self._length + k.shape[2]
        self._k, self._v = self._room(self._k, k, wanted), self._room(self._v, v, wanted)
        self._write(k, v)

    def _room(self, held: Tensor | None, new: Tensor, wanted: int) -> Tensor:
        if held is not None and held.shape[2] >= wanted:
            return held
        length = -(-wanted // self.step) * self.step
        grown = new.new_zeros(*new.shape[:2], length, new.shape[3])
        if held is not None:
            grown[:, :, : self._length] = held[:, :, : self._length]
        return grown


class EncoderKV:
    """An encoder's keys and values, projected once for all of a decoder's steps; every query sees all of them.

    Memory: none of its own. Cost: a step projects nothing, B Hkv S (D + Dv) numbers are read.
    Source: seed 001, "cached encoder projections".
    """

    def __init__(self, k: Tensor, v: Tensor) -> None:
        self.k, self.v = k, v

    @property
    def seq_len(self) -> int:
        return self.k.shape[2]

    @property
    def nbytes(self) -> int:
        return self.k.nbytes + self.v.nbytes

    def append(self, k: Tensor, v: Tensor) -> None:
        raise Unsupported("an encoder's keys and values are complete: nothing is appended to them")

    def attend(self, q: Tensor, *, scale: float | None = None) -> Tensor:
        return grouped_query_attention(q, self.k, self.v, scale=scale)

    def gather(self) -> tuple[Tensor, Tensor]:
        return self.k, self.v

    def truncate(self, seq_len: int) -> None:
        if seq_len != self.seq_len:
            raise Unsupported("an encoder's keys and values are complete: nothing of them is forgotten")

    def reset(self) -> None:
        raise Unsupported("an encoder's keys and values are complete: make new ones for another sequence")
