"""A cache of many sequences in one arena's pages: of any lengths, shared, set aside, brought back, saved.

Neighbours of one length at equal distances are attended to at once; others one by one, and where they lie in several
runs a run at a time, merged. Nothing is gathered on the way.
Axes: b batch, k key heads, g query heads of one key head, r rows (g by l), l queries, s keys, d width, e value width.
"""

import copy
import pickle
from collections.abc import Sequence
from os import PathLike
from typing import IO, Literal

import torch
from torch import Tensor

from attention.arena import Arena, LRUEviction, alike
from attention.caches import check_queries
from attention.errors import ShapeError
from attention.functional import check_shapes
from attention.grouped import attention_state, grouped_query_attention, merge_attention_states
from attention.kernels.paged_decode import page_tables, paged_decode
from attention.pager import Pager, Run

File = str | PathLike[str] | IO[bytes]
Part = tuple[Tensor, Tensor]


class PagedKVCache:
    """Sequences that join and leave, each of its own length, in the pages of one layer's arena.

    One query of each sequence may go to the operator `paged_decode` instead (`decode="operator"`): one call whatever
    lengths and runs there are, for which each step brings the page table to the device. It has no gradient.

    The batch is `sequences`, in that order. `select` makes another batch of the same memory; what is in no batch at
    hand may be evicted to the host when pages run out, and comes back when it is asked for.

    Memory: Hkv (D + Dv) numbers for each token there is room for: `max_length` for each sequence of the batch, or its
    own for each if there are several; to `page_size` tokens more a sequence. A sequence may take more room than its
    own, where others leave theirs.
    Cost: a step writes B Hkv L (D + Dv) numbers and copies no others; it attends once for neighbours that are alike
    (`arena.alike`), and once for each run of a sequence that lies in several.
    Raises: CacheFull when the batch alone needs more pages than there are, and then holds what it held; ShapeError for
    what does not fit, or a sequence that was released.
    Source: seed 003's CachedAttention; Kwon et al. 2023, arXiv:2309.06180.
    """

    def __init__(
        self,
        batch: int,
        kv_heads: int,
        max_length: int | Sequence[int],
        key_dim: int,
        value_dim: int | None = None,
        *,
        page_size: int = 16,
        decode: Literal["views", "operator"] = "views",
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        if decode not in ("views", "operator"):
            raise ShapeError(f"PagedKVCache: decode={decode!r}, wanted views or operator")
        lengths = [max_length] * batch if isinstance(max_length, int) else list(max_length)
        if len(lengths) != batch or min(lengths, default=0) < 1 or page_size < 1:
            met = f"batch={batch}, max_length={max_length}, page_size={page_size}"
            raise ShapeError(f"PagedKVCache: met {met}, wanted >= 1, and one max_length for all or each of the batch")
        pages = sum(-(-length // page_size) for length in lengths)
        self.arena = Arena(kv_heads, pages * page_size, key_dim, value_dim, dtype=dtype, device=device)
        self.pager = Pager(pages, page_size)
        self.eviction = LRUEviction(self.pager, self.arena)
        self.decode = decode
        self._sequences = [self.pager.add(room=length) for length in lengths]

    @property
    def sequences(self) -> tuple[int, ...]:
        """The batch, in order."""
        return tuple(self._sequences)

    @property
    def lengths(self) -> tuple[int, ...]:
        """Positions held, of each sequence of the batch."""
        return tuple(self.eviction.length(sequence) for sequence in self._sequences)

    @property
    def seq_len(self) -> int:
        """Positions held by each. Raises: ShapeError when they differ: then there is no one next position."""
        lengths = set(self.lengths)
        if len(lengths) > 1:
            raise ShapeError(f"PagedKVCache: no one seq_len, the sequences hold {list(self.lengths)} positions")
        return lengths.pop() if lengths else 0

    @property
    def nbytes(self) -> int:
        return self.arena.nbytes

    def append(self, k: Tensor, v: Tensor) -> None:
        self._check(k, v)
        slots: list[tuple[Run, ...]] = []
        try:
            for sequence in self._sequences:
                slots.append(self.eviction.extend(sequence, k.shape[2], keep=self._sequences))  # noqa: PERF401
        except Exception:
            for sequence in self._sequences[: len(slots)]:
                self.pager.truncate(sequence, self.pager.length(sequence) - k.shape[2])
            raise
        groups = alike(slots)
        if len(groups) == 1:
            self.arena.write(slots, k, v)
        else:
            for group in groups:
                self.arena.write(slots[group], k[group], v[group])

    def attend(self, q: Tensor, *, scale: float | None = None) -> Tensor:
        """As the protocol. Memory: the result, of sequences out of step twice; and one for each run of several."""
        if q.dim() != 4 or q.shape[0] != len(self._sequences):
            raise ShapeError(f"PagedKVCache: q {list(q.shape)}, wanted [{len(self._sequences)}, Hq, L, D]")
        if not self._sequences:
            return q.new_zeros(*q.shape[:3], self.arena.v.shape[3])
        runs = [self._runs(sequence) for sequence in self._sequences]
        if self.decode == "operator" and q.shape[2] == 1:
            table, lengths = page_tables(self.pager, self._sequences, device=q.device)
            arena, page_size = (self.arena.k[0], self.arena.v[0]), self.pager.page_size
            return paged_decode(q[:, :, 0], *arena, table, lengths, page_size=page_size, scale=scale)[:, :, None]
        groups = alike(runs)
        if len(groups) == 1:
            return attend_in_parts(q, self.arena.views(runs), scale=scale)
        return torch.cat([attend_in_parts(q[g], self.arena.views(runs[g]), scale=scale) for g in groups])

    def gather(self) -> Part:
        """Raises: ShapeError when the sequences' lengths differ: `select` one."""
        length = self.seq_len
        if not self._sequences:
            return self.arena.k[:0, :, :length], self.arena.v[:0, :, :length]
        ks, vs = zip(*(self.arena.read(self._runs(sequence)) for sequence in self._sequences), strict=True)
        return torch.cat(ks), torch.cat(vs)

    def truncate(self, seq_len: int) -> None:
        fewest = min(map(self.eviction.length, self._sequences), default=0)
        if not 0 <= seq_len <= fewest:
            raise ShapeError(f"PagedKVCache: truncate({seq_len}), wanted 0 to {fewest}")
        for sequence in self._sequences:
            self.eviction.truncate(sequence, seq_len)

    def reset(self) -> None:
        for sequence in self._sequences:
            self.eviction.forget(sequence)
            self.pager.truncate(sequence, 0)

    def select(self, *sequences: int) -> "PagedKVCache":
        """The same memory with these sequences as its batch. Raises: ShapeError for one that is not held, or twice."""
        if len(set(sequences)) != len(sequences):
            raise ShapeError(f"PagedKVCache: select{sequences}, wanted each sequence once")
        for sequence in sequences:
            self.pager.length(sequence)
        other = copy.copy(self)
        other._sequences = list(sequences)
        return other

    def join(self, room: int = 0) -> int:
        """Add a sequence without tokens to the batch, with `room` in one run if there is one. Returns its id."""
        return self._add(self.pager.add(room))

    def fork(self, sequence: int) -> int:
        """Add a sequence that begins as another one is now; what both hold is there once. Returns its id."""
        self._runs(sequence)
        forked = self._add(self.pager.fork(sequence))
        self._runs(forked)
        return forked

    def leave(self, sequence: int) -> None:
        """End a sequence of the batch; its pages are free unless forks share them."""
        if sequence not in self._sequences:
            raise ShapeError(f"PagedKVCache: sequence {sequence} leaves, wanted one of {self._sequences}")
        self.pager.release(sequence)
        self.eviction.forget(sequence)
        self._sequences.remove(sequence)

    def evict(self, sequence: int) -> None:
        """Move a sequence to the host until it is asked for again."""
        self.eviction.evict(sequence)

    def save(self, sequence: int, file: File) -> None:
        """Write what a sequence holds, k [1, Hkv, S, D] and v [1, Hkv, S, Dv], to a path or an open file."""
        k_1ksd, v_1kse = self.arena.read(self._runs(sequence))
        torch.save({"k": k_1ksd.cpu(), "v": v_1kse.cpu()}, file)

    def load(self, file: File) -> int:
        """Add a saved sequence to the batch. Returns its id. Raises: ShapeError when it is none, or of other sizes."""
        k_1ksd, v_1kse = _saved(file)
        loaded = self.select(self.pager.add())
        try:
            loaded.append(k_1ksd.to(self.arena.k.device), v_1kse.to(self.arena.v.device))
        except Exception:
            loaded.leave(*loaded.sequences)
            raise
        return self._add(*loaded.sequences)

    def _add(self, sequence: int) -> int:
        self._sequences.append(sequence)
        return sequence

    def _runs(self, sequence: int) -> tuple[Run, ...]:
        return self.eviction.runs(sequence, keep=self._sequences) or (Run(0, 0),)

    def _check(self, k: Tensor, v: Tensor) -> None:
        arena, L = self.arena, k.shape[2] if k.dim() == 4 else -1
        rows = (len(self._sequences), arena.kv_heads, L)
        if (
            k.shape == (*rows, arena.key_dim)
            and v.shape == (*rows, arena.value_dim)
            and k.dtype == v.dtype == arena.dtype
            and k.device == v.device == arena.device
        ):
            return
        met = ", ".join(f"{name} {list(t.shape)} {t.dtype} on {t.device}" for name, t in (("k", k), ("v", v)))
        shape = f"[{rows[0]}, {rows[1]}, L, {arena.key_dim}] and [.., {arena.value_dim}]"
        raise ShapeError(f"PagedKVCache: met {met}, wanted {shape}, {arena.dtype} on {arena.device}")


def attend_in_parts(q: Tensor, parts: Sequence[Part], *, scale: float | None = None) -> Tensor:
    """Attend to keys that lie in several places as to one sequence; causal, lower-right aligned.

    New tokens see the parts before theirs whole and their own causally; only results are joined.

    Shapes: q [B, Hq, L, D]; each part k [B, Hkv, S, D], v [B, Hkv, S, Dv]; result [B, Hq, L, Dv]; Hkv divides Hq.
    Memory: the result, and with several parts one for each. Cost: as `grouped_query_attention`; a call a part, and
    two for a part that holds several of the new tokens.
    Raises: ShapeError when there is no part, sizes disagree, or there are more queries than keys.
    """
    if not parts:
        raise ShapeError("attend_in_parts: no part, wanted at least one")
    held = parts[0][0].shape[2] if len(parts) == 1 else sum(k.shape[2] for k, _ in parts)
    check_queries("attend_in_parts", q, held)
    if len(parts) == 1:
        return grouped_query_attention(q, *parts[0], is_causal=True, scale=scale)
    check_shapes("attend_in_parts", q, *parts[0], grouped=True)
    if len(heads := {k.shape[1] for k, _ in parts}) > 1:
        raise ShapeError(f"attend_in_parts: parts of {sorted(heads)} key heads, wanted as many in each")
    outs, stop = [], q.shape[2] - held
    for place, (k, _) in enumerate(parts):
        stop += k.shape[2]  # the query of this part's last key, and one
        new = min(stop, k.shape[2])
        if new > 0:
            outs.append(_attend_new(q[:, :, stop - new : stop], parts[:place], parts[place], scale))
    return outs[0] if len(outs) == 1 else torch.cat(outs, dim=2)


def _attend_new(q: Tensor, earlier: Sequence[Part], own: Part, scale: float | None) -> Tensor:
    """The result for tokens whose keys are the last ones of `own`."""
    L, (k, v) = q.shape[2], own
    whole, states = [*earlier, own], []
    if L > 1:
        before = k.shape[2] - L
        whole[-1:] = [(k[:, :, :before], v[:, :, :before])] if before else []
        states.append(_causal_state(q, k[:, :, before:], v[:, :, before:], scale))
    rows_bkrd = q.reshape(q.shape[0], k.shape[1], -1, q.shape[3])
    states += [attention_state(rows_bkrd, *part, scale=scale) for part in whole]
    out_bkre, _ = merge_attention_states(*zip(*states, strict=True))
    return out_bkre.reshape(*q.shape[:3], v.shape[3])


def _causal_state(q: Tensor, k: Tensor, v: Tensor, scale: float | None) -> tuple[Tensor, Tensor]:
    """As many queries as keys, in rows: the query heads of a key head are a batch for it, since each row is causal."""
    B, Hq, L, D = q.shape
    Hkv = k.shape[1]
    group = Hq // Hkv
    q_nkld = q.reshape(B, Hkv, group, L, D).transpose(1, 2).flatten(0, 1)
    k_nkld, v_nkle = (t[:, None].expand(-1, group, -1, -1, -1).flatten(0, 1) for t in (k, v))
    out_nkle, weight_nkl = attention_state(q_nkld, k_nkld, v_nkle, is_causal=True, scale=scale)
    out_bkgle = out_nkle.reshape(B, group, Hkv, L, -1).transpose(1, 2)
    weight_bkgl = weight_nkl.reshape(B, group, Hkv, L).transpose(1, 2)
    return out_bkgle.flatten(2, 3), weight_bkgl.flatten(2, 3)


def _saved(file: File) -> Part:
    """What `save` wrote. Raises: ShapeError for anything else."""
    try:
        held = torch.load(file, map_location="cpu", weights_only=True)
    except (EOFError, RuntimeError, pickle.UnpicklingError) as error:
        raise ShapeError(
            f"PagedKVCache: {file} cannot be read ({type(error).__name__}), wanted what save writes"
        ) from error
    if not (isinstance(held, dict) and held.keys() == {"k", "v"} and all(isinstance(t, Tensor) for t in held.values())):
        met = sorted(held) if isinstance(held, dict) else type(held).__name__
        raise ShapeError(f"PagedKVCache: {file} holds {met}, wanted what save writes: k and v")
    return held["k"], held["v"]
