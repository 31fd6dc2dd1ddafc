"""Pages: who holds which, in how few runs, and what a plain dictionary would hold."""

from itertools import pairwise

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from attention import CacheFull, ShapeError
from attention.pager import Pager, Run


class PagerBesideADictionary(RuleBasedStateMachine):
    """Tokens are written where the pager says, and read back where it says: a list a sequence must be found again."""

    sequences = Bundle("sequences")

    @initialize(pages=st.integers(1, 12), page_size=st.integers(1, 4))
    def begin(self, pages: int, page_size: int) -> None:
        self.total, self.size = pages, page_size
        self.pager = Pager(pages, page_size)
        self.slots: dict[int, int] = {}
        self.tokens: dict[int, list[int]] = {}
        self.given: set[int] = set()
        self.written = 0

    @rule(target=sequences, room=st.integers(0, 12))
    def add(self, room: int) -> int:
        return self.begun(self.pager.add(room), [])

    @rule(target=sequences, source=sequences)
    def fork(self, source: int) -> int:
        forked = self.pager.fork(source)
        assert self.pager.pages(forked) == self.pager.pages(source)[: self.kept(source)]
        return self.begun(forked, self.tokens[source])

    @rule(sequence=sequences, count=st.integers(0, 9))
    def extend(self, sequence: int, count: int) -> None:
        held = len(self.tokens[sequence])
        last = self.pager.pages(sequence)[held // self.size] if held % self.size else None
        splits = count > 0 and last is not None and self.pager.references(last) > 1
        missing = self.needed(held + count) - self.needed(held) + splits
        if len(self.in_use()) + missing > self.total:
            before = {each: self.pager.pages(each) for each in self.tokens}
            with pytest.raises(CacheFull, match=f"of {self.total} are free or spare"):
                self.pager.extend(sequence, count)
            assert {each: self.pager.pages(each) for each in self.tokens} == before
            return
        slots, copied = self.pager.extend(sequence, count)
        if copied is not None:
            source, target = ([*range(*run)] for run in copied)
            self.slots |= dict(zip(target, [self.slots[slot] for slot in source], strict=True))
        for slot in (slot for run in slots for slot in range(*run)):
            self.slots[slot] = self.written
            self.tokens[sequence] = [*self.tokens[sequence], self.written]
            self.written += 1

    @rule(sequence=sequences, share=st.floats(0, 1))
    def truncate(self, sequence: int, share: float) -> None:
        kept = round(share * len(self.tokens[sequence]))
        self.pager.truncate(sequence, kept)
        self.tokens[sequence] = self.tokens[sequence][:kept]

    @rule(sequence=sequences)
    def clear(self, sequence: int) -> None:
        self.pager.clear(sequence)
        self.tokens[sequence] = []
        assert self.pager.pages(sequence) == ()

    @rule(sequence=consumes(sequences))
    def release(self, sequence: int) -> None:
        self.pager.release(sequence)
        del self.tokens[sequence]
        with pytest.raises(ShapeError, match=f"sequence {sequence} was released"):
            self.pager.extend(sequence, 1)

    @invariant()
    def every_sequence_is_where_the_pager_says(self) -> None:
        assert self.pager.sequences == tuple(self.tokens)
        for sequence, tokens in self.tokens.items():
            runs = self.pager.runs(sequence)
            assert [self.slots[slot] for run in runs for slot in range(*run)] == tokens
            assert all(a.stop != b.start for a, b in pairwise(runs)), "two runs are one"

    @invariant()
    def every_page_is_free_or_counted(self) -> None:
        tables = [self.pager.pages(sequence) for sequence in self.tokens]
        assert all(len(set(table)) == len(table) for table in tables)
        counts = [sum(page in table for table in tables) for page in range(self.total)]
        assert [self.pager.references(page) for page in range(self.total)] == counts
        assert self.pager.free_pages + len({page for table in tables for page in table}) == self.total
        spare = [page for sequence in self.tokens for page in self.pager.pages(sequence)[self.kept(sequence) :]]
        assert all(counts[page] == 1 for page in spare)

    def begun(self, sequence: int, tokens: list[int]) -> int:
        assert sequence not in self.given
        self.given.add(sequence)
        self.tokens[sequence] = tokens
        return sequence

    def needed(self, tokens: int) -> int:
        return -(-tokens // self.size)

    def kept(self, sequence: int) -> int:
        return self.needed(len(self.tokens[sequence]))

    def in_use(self) -> set[int]:
        return {page for each in self.tokens for page in self.pager.pages(each)[: self.kept(each)]}


TestPagerBesideADictionary = PagerBesideADictionary.TestCase
TestPagerBesideADictionary.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def test_a_sequence_that_grows_alone_is_one_run() -> None:
    pager = Pager(pages=64, page_size=16)
    alone = pager.add()
    for _ in range(1000):
        pager.extend(alone, 1)
    assert pager.runs(alone) == (Run(0, 1000),)


def test_sequences_that_grow_side_by_side_are_few_runs() -> None:
    pager = Pager(pages=2048, page_size=16)
    both = [pager.add(), pager.add()]
    for _ in range(4096):
        for sequence in both:
            pager.extend(sequence, 1)
    assert max(len(pager.runs(sequence)) for sequence in both) <= 8  # each twice as long as the one before


def test_room_that_was_asked_for_keeps_a_sequence_in_one_run() -> None:
    pager = Pager(pages=8, page_size=4)
    first, second = pager.add(room=16), pager.add(room=16)
    for _ in range(16):
        pager.extend(first, 1)
        pager.extend(second, 1)
    assert (pager.runs(first), pager.runs(second)) == ((Run(0, 16),), (Run(16, 32),))


def test_spare_pages_go_to_whoever_needs_them_and_no_more_than_that() -> None:
    pager = Pager(pages=8, page_size=4)
    roomy, other = pager.add(room=32), pager.add()
    pager.extend(roomy, 4)
    assert pager.free_pages == 0
    assert pager.extend(other, 8).slots == (Run(16, 24),)
    assert pager.pages(roomy) == (0, 1, 2, 3)


def test_a_fork_copies_what_it_shares_of_the_page_that_it_writes_to() -> None:
    pager = Pager(pages=4, page_size=4)
    first = pager.add()
    pager.extend(first, 6)
    fork = pager.fork(first)
    slots, copied = pager.extend(fork, 1)
    assert copied is not None
    assert (copied[0], pager.runs(fork)[0]) == (Run(4, 6), Run(0, 4))
    assert slots == (Run(copied[1].stop, copied[1].stop + 1),)
    assert pager.extend(first, 1) == ((Run(6, 7),), None), "the other one has its page for itself again"


def test_what_no_pager_can_do_is_named() -> None:
    pager = Pager(pages=2, page_size=4)
    sequence = pager.add()
    pager.extend(sequence, 3)
    with pytest.raises(CacheFull, match="1 more pages of 4 tokens wanted, 0 of 2 are free or spare"):
        pager.extend(sequence, 6)
    with pytest.raises(ShapeError, match="truncate sequence 0 to 4, wanted 0 to 3"):
        pager.truncate(sequence, 4)
    with pytest.raises(ShapeError, match="extend by -1"):
        pager.extend(sequence, -1)
    with pytest.raises(ShapeError, match="room=-1"):
        pager.add(-1)
    with pytest.raises(ShapeError, match=r"sequence 7 was never added, wanted one of \[0\]"):
        pager.runs(7)
    with pytest.raises(ShapeError, match="pages=0"):
        Pager(pages=0, page_size=4)
