"""The memory that paged sequences share: one arena a layer, and what is done when it has no page left.

Axes: b batch, k key heads, l new positions, s positions held, d width, e value width. A leading 1 is a batch of one.
"""

from collections import OrderedDict
from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from attention.errors import CacheFull, ShapeError
from attention.pager import Pager, Run


class Arena:
    """Keys and values of one layer, head-major: a run of slots is a slice with the strides of a static cache.

    With tokens first instead, a head's keys would be Hkv D numbers apart. It begins as zeros: a slot that was never
    written holds nothing that a product could turn into NaN.

    Shapes: k [1, Hkv, slots, D]; v [1, Hkv, slots, Dv]. Memory: Hkv slots (D + Dv) numbers.
    Raises: ShapeError for a size below 1.
    Source: seed 003's Arena, which rebuilt a block of every layer for each token; here a write is the token's own.
    """

    def __init__(
        self,
        kv_heads: int,
        slots: int,
        key_dim: int,
        value_dim: int | None = None,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        widths = (key_dim, key_dim if value_dim is None else value_dim)
        if min(kv_heads, slots, *widths) < 1:
            raise ShapeError(f"Arena: kv_heads={kv_heads}, slots={slots}, widths={widths}, wanted >= 1")
        self.k, self.v = (torch.zeros(1, kv_heads, slots, width, dtype=dtype, device=device) for width in widths)
        # A step compares what it is given with these: asking the tensors takes a microsecond.
        self.kv_heads, (self.key_dim, self.value_dim), self.dtype, self.device = kv_heads, widths, dtype, self.k.device

    @property
    def nbytes(self) -> int:
        return self.k.nbytes + self.v.nbytes

    def view(self, run: Run) -> tuple[Tensor, Tensor]:
        """Shapes: k [1, Hkv, S, D]; v [1, Hkv, S, Dv]. Memory: none."""
        start, stop = run
        return self.k.narrow(2, start, stop - start), self.v.narrow(2, start, stop - start)

    def views(self, group: Sequence[Sequence[Run]]) -> list[tuple[Tensor, Tensor]]:
        """A group that `alike` made: its sequences as one batch, or its one sequence run by run.

        Shapes: k [B, Hkv, S, D]; v [B, Hkv, S, Dv]. Memory: none.
        """
        if len(group) == 1:
            return [self.view(run) for run in group[0]]
        (first,), (second,) = group[:2]
        k, v = (_every(t, len(group), first, second.start - first.start) for t in (self.k, self.v))
        return [(k, v)]

    def write(self, group: Sequence[Sequence[Run]], k: Tensor, v: Tensor) -> None:
        """Put k [B, Hkv, L, D] and v [B, Hkv, L, Dv] into a group that `alike` made. Nothing else is touched."""
        held = self.views(group)
        if len(held) == 1:
            held[0][0].copy_(k)
            held[0][1].copy_(v)
            return
        lengths = [part.shape[2] for part, _ in held]
        parts = zip(held, torch.split(k, lengths, dim=2), torch.split(v, lengths, dim=2), strict=True)
        for (k_here, v_here), k_new, v_new in parts:
            k_here.copy_(k_new)
            v_here.copy_(v_new)

    def read(self, runs: Sequence[Run]) -> tuple[Tensor, Tensor]:
        """Put the runs together. Shapes: k [1, Hkv, S, D]; v [1, Hkv, S, Dv]. Memory: a copy."""
        ks, vs = zip(*(self.view(run) for run in runs or (Run(0, 0),)), strict=True)
        return torch.cat(ks, dim=2), torch.cat(vs, dim=2)

    def copy(self, source: Run, target: Run) -> None:
        self.write([[target]], *self.view(source))


def alike(sequences: Sequence[Sequence[Run]]) -> list[slice]:
    """Split a batch into groups that are viewed at once: neighbours of one run each, as long and as far apart.

    A sequence of several runs is a group of its own.
    """
    if len(sequences) == 1:
        return [slice(0, 1)]
    groups, first = [], 0
    for place in range(1, len(sequences) + 1):
        if place == len(sequences) or not _continues(sequences, first, place):
            groups.append(slice(first, place))
            first = place
    return groups


def _continues(sequences: Sequence[Sequence[Run]], first: int, place: int) -> bool:
    """Whether the sequence at `place` is as long and as far behind the one before it as the others since `first`."""
    if any(len(runs) != 1 for runs in (sequences[first], sequences[place])):
        return False
    (a,), (b,), (before,), (here,) = sequences[first], sequences[first + 1], sequences[place - 1], sequences[place]
    apart = b.start - a.start
    return here.start - before.start == apart >= 0 and here.stop - here.start == a.stop - a.start


def _every(t_1ksd: Tensor, count: int, first: Run, apart: int) -> Tensor:
    """Runs as long as the first, each `apart` slots behind the one before: [count, Hkv, S, D], a view."""
    _, heads, _, width = t_1ksd.shape
    _, of_head, of_slot, _ = t_1ksd.stride()
    size = (count, heads, first.stop - first.start, width)
    return t_1ksd.as_strided(size, (apart * of_slot, of_head, of_slot, 1), first.start * of_slot)


class LRUEviction:
    """When no page is free, the sequence that was asked for longest ago waits on the host; asked for again, it is back.

    Its keys and values come back bit-equal, into whatever pages are free then: what was scattered becomes one run if
    there is room for one, and pages that it shared with a fork are its own.

    Memory: on the host, Hkv S (D + Dv) numbers for each sequence that waits. Cost: those numbers moved, each way.
    Source: seed 003's eviction.
    """

    def __init__(self, pager: Pager, arena: Arena) -> None:
        self._pager, self._arena = pager, arena
        self._order: OrderedDict[int, None] = OrderedDict()  # asked for longest ago first
        self._waiting: dict[int, tuple[Tensor, Tensor]] = {}

    @property
    def waiting(self) -> tuple[int, ...]:
        """The sequences that are on the host."""
        return tuple(self._waiting)

    def length(self, sequence: int) -> int:
        waits = self._waiting.get(sequence)
        return self._pager.length(sequence) if waits is None else waits[0].shape[2]

    def runs(self, sequence: int, *, keep: Collection[int] = ()) -> tuple[Run, ...]:
        """Where a sequence's tokens are, back from the host if they were there."""
        if sequence in self._waiting:
            self._readmit(sequence, keep)
        runs = self._pager.runs(sequence)
        self._asked_for(sequence)
        return runs

    def extend(self, sequence: int, count: int, *, keep: Collection[int] = ()) -> tuple[Run, ...]:
        """Slots for more tokens of a sequence; others make room if they must, none of `keep`. Raises: CacheFull."""
        if sequence in self._waiting:
            self._readmit(sequence, keep)
        slots = self._extend(sequence, count, keep)
        self._asked_for(sequence)
        return slots

    def truncate(self, sequence: int, length: int) -> None:
        """Forget all but the first tokens, wherever they are."""
        if sequence in self._waiting:
            k_1ksd, v_1kse = self._waiting[sequence]
            self._waiting[sequence] = k_1ksd[:, :, :length], v_1kse[:, :, :length]
        else:
            self._pager.truncate(sequence, length)

    def evict(self, sequence: int) -> None:
        """Move a sequence to the host."""
        runs = self._pager.runs(sequence)
        self._order.pop(sequence, None)
        if sequence not in self._waiting:
            k_1ksd, v_1kse = self._arena.read(runs)
            self._waiting[sequence] = k_1ksd.cpu(), v_1kse.cpu()
            self._pager.clear(sequence)

    def forget(self, sequence: int) -> None:
        """Drop what is kept of a sequence that starts anew or has ended."""
        self._order.pop(sequence, None)
        self._waiting.pop(sequence, None)

    def _asked_for(self, sequence: int) -> None:
        self._order[sequence] = None
        self._order.move_to_end(sequence)

    def _readmit(self, sequence: int, keep: Collection[int]) -> None:
        k_1ksd, v_1kse = self._waiting[sequence]
        self._arena.write([self._extend(sequence, k_1ksd.shape[2], keep)], k_1ksd, v_1kse)
        del self._waiting[sequence]

    def _extend(self, sequence: int, count: int, keep: Collection[int]) -> tuple[Run, ...]:
        while True:
            try:
                extension = self._pager.extend(sequence, count)
            except CacheFull:
                oldest = next((other for other in self._order if other != sequence and other not in keep), None)
                if oldest is None:
                    raise
                self.evict(oldest)
            else:
                if extension.copied is not None:
                    self._arena.copy(*extension.copied)
                return extension.slots
