"""Which pages hold which sequence: a page table each, reference counts, and free pages found side by side.

Host state alone. Pages side by side are one run, which is read as one slice: the fewer runs, the fewer merges.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from attention.errors import CacheFull, ShapeError


class Run(NamedTuple):
    """Slots of an arena from `start` up to `stop`, a token each."""

    start: int
    stop: int


class Extension(NamedTuple):
    """Where a sequence's new tokens belong, and what must be copied before they are written."""

    slots: tuple[Run, ...]
    copied: tuple[Run, Run] | None  #: from, to: the filled part of a last page that forks share


@dataclass(slots=True)
class _Table:
    """A sequence's pages in order: those that hold its tokens, then spare ones, which nobody shares."""

    pages: list[int]
    length: int
    runs: tuple[Run, ...] = ()  #: of all pages, kept because a step asks for them and hardly ever changes them


class Pager:
    """Hand out pages: behind a sequence's last one, else the first gap with room, and as many again to grow into.

    So most sequences are one run or two. Before any sequence is refused, spare pages are taken back from others. A fork
    shares its pages until it, or what it was forked from, writes to the last one. An id is never given twice.

    Memory: on the host, a number a page. Cost: a step within a page touches its own table alone; a sequence that needs
    another page searches them all, each time for twice as many.
    Raises: CacheFull when too few pages are free or spare; ShapeError for sizes below 1 or a sequence that is not held.
    Source: seed 003's Pager; Kwon et al. 2023, arXiv:2309.06180.
    """

    def __init__(self, pages: int, page_size: int) -> None:
        if min(pages, page_size) < 1:
            raise ShapeError(f"Pager: pages={pages}, page_size={page_size}, wanted >= 1")
        self.page_size = page_size
        self._references = [0] * pages
        self._tables: dict[int, _Table] = {}
        self._added = 0

    @property
    def free_pages(self) -> int:
        """Pages in no sequence's table."""
        return self._references.count(0)

    @property
    def sequences(self) -> tuple[int, ...]:
        return tuple(self._tables)

    def references(self, page: int) -> int:
        """How many sequences have the page in their table."""
        return self._references[page]

    def length(self, sequence: int) -> int:
        return self._table(sequence).length

    def pages(self, sequence: int) -> tuple[int, ...]:
        """The sequence's page table, spare pages last."""
        return tuple(self._table(sequence).pages)

    def runs(self, sequence: int) -> tuple[Run, ...]:
        """Where the sequence's tokens are, in order, in as few slices as there can be."""
        table = self._table(sequence)
        return _between(table.runs, 0, table.length)

    def add(self, room: int = 0) -> int:
        """Begin a sequence without tokens, with spare pages for `room` of them if so many are free side by side."""
        if room < 0:
            raise ShapeError(f"Pager: room={room}, wanted >= 0")
        pages, table = self._needed(room), _Table([], 0)
        self._take(table, next((gap[:pages] for gap in self._gaps() if len(gap) >= pages), ()))
        return self._keep(table)

    def fork(self, sequence: int) -> int:
        """Begin a sequence with another's tokens, in the same pages."""
        table = self._table(sequence)
        shared = _Table(table.pages[: self._needed(table.length)], table.length)
        for page in shared.pages:
            self._references[page] += 1
        self._join(shared)
        return self._keep(shared)

    def extend(self, sequence: int, count: int) -> Extension:
        """Make a sequence `count` tokens longer. When it is refused, nothing has changed."""
        table = self._table(sequence)
        if count < 0:
            raise ShapeError(f"Pager: extend by {count}, wanted >= 0")
        length = table.length + count
        place, filled = divmod(table.length, self.page_size)
        shared = filled > 0 and count > 0 and self._references[table.pages[place]] > 1
        missing = self._needed(length) + shared - len(table.pages)
        if missing > 0:
            self._grow(table, missing)
        copied = self._replace(table, place, filled) if shared else None
        slots = _between(table.runs, table.length, length)
        table.length = length
        return Extension(slots, copied)

    def truncate(self, sequence: int, length: int) -> None:
        """Forget all but the first tokens; pages that no other shares stay as spare ones.

        Raises: ShapeError when there are fewer.
        """
        table = self._table(sequence)
        if not 0 <= length <= table.length:
            raise ShapeError(f"Pager: truncate sequence {sequence} to {length}, wanted 0 to {table.length}")
        table.length = length
        references = self._references
        shared = [page for page in table.pages[self._needed(length) :] if references[page] > 1]
        for page in shared:
            self._references[page] -= 1
            table.pages.remove(page)
        if shared:
            self._join(table)

    def clear(self, sequence: int) -> None:
        """Forget all tokens, and give every page back."""
        table = self._table(sequence)
        table.length = 0
        self._give_back(table, 0)

    def release(self, sequence: int) -> None:
        """End a sequence; pages that no other shares are free."""
        self.clear(sequence)
        del self._tables[sequence]

    def _table(self, sequence: int) -> _Table:
        table = self._tables.get(sequence)
        if table is None:
            was = "was released" if 0 <= sequence < self._added else "was never added"
            raise ShapeError(f"Pager: sequence {sequence} {was}, wanted one of {list(self._tables)}")
        return table

    def _keep(self, table: _Table) -> int:
        self._tables[self._added] = table
        self._added += 1
        return self._added - 1

    def _needed(self, length: int) -> int:
        return -(-length // self.page_size)

    def _spare(self, table: _Table) -> int:
        return len(table.pages) - self._needed(table.length)

    def _grow(self, table: _Table, missing: int) -> None:
        others = [other for other in self._tables.values() if other is not table]
        possible = self.free_pages + sum(map(self._spare, others))
        if missing > possible:
            met = f"{missing} more pages of {self.page_size} tokens"
            raise CacheFull(f"Pager: {met} wanted, {possible} of {len(self._references)} are free or spare")
        while missing > self.free_pages:
            most = max(others, key=self._spare)
            self._give_back(most, len(most.pages) - (self._spare(most) + 1) // 2)
        behind = table.pages[-1] if table.pages else None
        self._take(table, self._choose(missing, len(table.pages) + 2 * missing, behind))

    def _choose(self, missing: int, wanted: int, behind: int | None) -> Iterable[int]:
        """Free pages, `wanted` if they lie together, else at least `missing`: behind a page, or in a gap that fits."""
        gaps = self._gaps()
        fitting = (
            [gap for gap in gaps if gap.start - 1 == behind and len(gap) >= missing]
            or [gap for gap in gaps if len(gap) >= wanted]
            or [gap for gap in gaps if len(gap) >= missing]
        )
        if fitting:
            return fitting[0][:wanted]
        largest_first = sorted(gaps, key=len, reverse=True)
        return [page for gap in largest_first for page in gap][:missing]

    def _gaps(self) -> list[range]:
        """The free pages, as many side by side as there are."""
        free = [False, *(count == 0 for count in self._references), False]
        edges = [page for page in range(len(free) - 1) if free[page] != free[page + 1]]
        return [range(start, stop) for start, stop in zip(edges[::2], edges[1::2], strict=True)]

    def _replace(self, table: _Table, place: int, filled: int) -> tuple[Run, Run]:
        """Let go of a shared page: the next one, spare until now, takes its place."""
        source = table.pages.pop(place)
        self._references[source] -= 1
        self._join(table)
        first, target = source * self.page_size, table.pages[place] * self.page_size
        return Run(first, first + filled), Run(target, target + filled)

    def _take(self, table: _Table, pages: Iterable[int]) -> None:
        for page in pages:
            self._references[page] = 1
            table.pages.append(page)
        self._join(table)

    def _give_back(self, table: _Table, kept: int) -> None:
        for page in table.pages[kept:]:
            self._references[page] -= 1
        del table.pages[kept:]
        self._join(table)

    def _join(self, table: _Table) -> None:
        runs: list[Run] = []
        for page in table.pages:
            start, stop = page * self.page_size, (page + 1) * self.page_size
            if runs and runs[-1].stop == start:
                start = runs.pop().start
            runs.append(Run(start, stop))
        table.runs = tuple(runs)


def _between(runs: tuple[Run, ...], first: int, last: int) -> tuple[Run, ...]:
    """The slots of positions `first` up to `last` of a sequence that lies in these runs."""
    if len(runs) == 1 and first < last:  # most are, and a decode step asks twice
        return (Run(runs[0].start + first, runs[0].start + last),)
    found, position = [], 0
    for start, stop in runs:
        end = position + stop - start
        low, high = max(first, position), min(last, end)
        if low < high:
            found.append(Run(start + low - position, start + high - position))
        position = end
    return tuple(found)
