"""What goes into a block comes out of it, bit for bit, whichever way it is read."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from perfsvc.store import packing
from perfsvc.store.packing import WIDTH, Packed

LARGEST_ID = 2**31 - 1

ids = st.lists(st.integers(1, 5 * WIDTH) | st.integers(1, LARGEST_ID), min_size=1, max_size=80, unique=True)


@st.composite
def runs(draw: st.DrawFn) -> tuple[list[int], np.ndarray, np.ndarray]:
    """Series in any order, with any numbers: value and quartiles [n, 3], and which are wrong [n]."""
    series = draw(ids)
    return series, draw(arrays(float, (len(series), 3))), draw(arrays(bool, len(series)))


def pack(run: tuple[list[int], np.ndarray, np.ndarray]) -> list[Packed]:
    return packing.pack(np.array(run[0], dtype=np.int64), *run[1:])


def bits(row: object) -> bytes:
    """NaN is not equal to itself; its bits are."""
    return np.array(row, dtype=float).tobytes()


@given(runs())
def test_every_series_has_its_own_numbers_back(run: tuple[list[int], np.ndarray, np.ndarray]) -> None:
    packed = dict(pack(run))
    for series_id, row, wrong in zip(*run, strict=True):
        found = packing.unpack(packed[packing.block_of(series_id)], series_id)
        assert found is not None
        assert (bits(found[:3]), found.wrong) == (bits(row), wrong)


@given(runs())
def test_the_masks_name_the_series_and_no_other(run: tuple[list[int], np.ndarray, np.ndarray]) -> None:
    packed = pack(run)
    named = [one for block, data in packed for one in packing.series_in(block, packing.mask_of(data))]
    assert named == sorted(run[0])
    for block, data in packed:
        others = {*range(block * WIDTH, (block + 1) * WIDTH)} - set(run[0])
        assert all(packing.unpack(data, one) is None for one in others)


@given(st.lists(runs(), min_size=1, max_size=6), st.integers(0, 4))
def test_columns_of_many_runs_are_what_each_run_says(
    several: list[tuple[list[int], np.ndarray, np.ndarray]], block: int
) -> None:
    held = {place: data for place, run in enumerate(several) for b, data in pack(run) if b == block}
    wanted = range(block * WIDTH, (block + 1) * WIDTH)
    found = {
        (column.series_id, place): (bits(values), wrong)
        for column in packing.columns(wanted, np.array(list(held), dtype=int), list(held.values()))
        for place, values, wrong in zip(column.places.tolist(), column.values, column.wrong, strict=True)
    }
    assert found == {
        (series_id, place): (bits(row), wrong)
        for place, run in enumerate(several)
        for series_id, row, wrong in zip(*run, strict=True)
        if packing.block_of(series_id) == block
    }


def test_a_run_of_nothing_is_no_block() -> None:
    assert packing.pack(np.array([], dtype=np.int64), np.empty((0, 3)), np.array([], dtype=bool)) == []


def test_a_full_block_stays_within_its_row() -> None:
    """PostgreSQL moves what is above 2,000 bytes out of a row, SQLite (no rowid, pages of 4,096) above 1,002."""
    (only,) = packing.pack(np.arange(WIDTH), np.ones((WIDTH, 3)), np.ones(WIDTH, dtype=bool))
    assert len(only.bytes) < 1_000
