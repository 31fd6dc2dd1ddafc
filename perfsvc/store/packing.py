"""What one run measured of neighbouring series, as the bytes of one row. Pure.

Series are numbered machine by machine and benchmark by benchmark, and a run measures most neighbours together: a row a
value would spend half of SQLite's file, and two thirds of PostgreSQL's, on keys and headers. A block is WIDTH series;
its bytes are, little-endian,

    mask of those that are here, mask of those whose guard failed (2 bytes each)
    for each that is here, in order: value, q25, q75 (8 bytes each; a quartile that is not known is NaN)
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from perfsvc.stats import Floats

#: As many as a mask has bits. A full block is 388 bytes: below what either database moves out of a row.
WIDTH = 16

MASK_SIZE = 2

_MASKS = struct.Struct("<HH")
_VALUE = struct.Struct("<3d")


class Packed(NamedTuple):
    block: int
    bytes: bytes


class Value(NamedTuple):
    """One series in one run. `q25`, `q75` NaN: not known."""

    value: float
    q25: float
    q75: float
    wrong: bool


def block_of(series_id: int) -> int:
    return series_id // WIDTH


def pack(series_ids: NDArray[np.int64], values: Floats, wrong: NDArray[np.bool_]) -> list[Packed]:
    """The blocks of a run. Shapes: series_ids [n], all different; values [n, 3]: value, q25, q75; wrong [n]."""
    if not len(series_ids):
        return []
    order = np.argsort(series_ids)
    ids, rows = series_ids[order], values[order].astype("<f8").tobytes()
    bits = np.uint16(1) << (ids % WIDTH).astype(np.uint16)
    blocks, starts = np.unique(ids // WIDTH, return_index=True)
    here = np.bitwise_or.reduceat(bits, starts)
    doubted = np.bitwise_or.reduceat(np.where(wrong[order], bits, np.uint16(0)), starts)
    ends = [*starts[1:].tolist(), len(ids)]
    return [
        Packed(block, _MASKS.pack(*masks) + rows[start * _VALUE.size : end * _VALUE.size])
        for block, start, end, *masks in zip(
            blocks.tolist(), starts.tolist(), ends, here.tolist(), doubted.tolist(), strict=True
        )
    ]


def unpack(packed: bytes, series_id: int) -> Value | None:
    """What a block holds of one series; None: nothing."""
    here, wrong = _MASKS.unpack_from(packed)
    bit = 1 << series_id % WIDTH
    if not here & bit:
        return None
    place = _MASKS.size + _VALUE.size * (here & (bit - 1)).bit_count()
    value, q25, q75 = _VALUE.unpack_from(packed, place)
    return Value(value, q25, q75, bool(wrong & bit))


def series_in(block: int, mask: int) -> list[int]:
    return [block * WIDTH + place for place in range(WIDTH) if mask >> place & 1]


def mask_of(packed: bytes) -> int:
    """Which series are here, told by the first MASK_SIZE bytes: the lowest bit is the block's first."""
    return int.from_bytes(packed[:MASK_SIZE], "little")


class Column(NamedTuple):
    """One series over the runs that hold a value of it."""

    series_id: int
    places: NDArray[np.intp]  #: [n], of those runs, as they were given
    values: Floats  #: [n, 3]: value, q25, q75
    wrong: NDArray[np.bool_]  #: [n]


def columns(series_ids: Sequence[int], places: NDArray[np.intp], packed: Sequence[bytes]) -> Iterator[Column]:
    """One block of many runs, series by series, those of it that are asked for. Shapes: places [n], packed [n]."""
    masks = np.frombuffer(b"".join([one[: _MASKS.size] for one in packed]), dtype="<u2").reshape(-1, 2)
    here, wrong = masks[:, 0], masks[:, 1]
    for series_id in series_ids:
        bit = np.uint16(1 << series_id % WIDTH)
        runs = np.flatnonzero(here & bit)
        if not len(runs):
            continue
        begins = _MASKS.size + _VALUE.size * np.bitwise_count(here[runs] & (bit - 1)).astype(int)
        ends = begins + _VALUE.size
        data = b"".join([packed[i][a:b] for i, a, b in zip(runs.tolist(), begins.tolist(), ends.tolist(), strict=True)])
        values = np.frombuffer(data, dtype="<f8").reshape(-1, 3)
        yield Column(series_id, places[runs], values, (wrong[runs] & bit) != 0)
