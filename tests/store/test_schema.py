"""docs/schema.md tells of every table, and of no other."""

from __future__ import annotations

import math
import re
import struct
from pathlib import Path

import numpy as np

from perfsvc.store import packing, tables

SCHEMA = Path(__file__).parents[2] / "docs" / "schema.md"


def test_the_page_lists_every_table_and_no_other() -> None:
    meanings = SCHEMA.read_text().split("## Columns")[0]
    told = re.findall(r"^\| `(\w+)` \|", meanings, flags=re.MULTILINE)
    assert sorted(told) == sorted(tables.metadata.tables)


def test_every_row_says_what_it_means() -> None:
    meanings = SCHEMA.read_text().split("## Columns")[0]
    rows = re.findall(r"^\| `\w+` \| (.*) \|$", meanings, flags=re.MULTILINE)
    assert len(rows) == len(tables.metadata.tables)
    assert all(len(row) > 20 for row in rows)


def test_the_page_lists_every_column_of_every_table() -> None:
    columns = SCHEMA.read_text().split("## Columns")[1].split("##")[0]
    told = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", columns, flags=re.MULTILINE))
    assert told == {name: ", ".join(table.c.keys()) for name, table in tables.metadata.tables.items()}


def test_the_page_tells_how_large_a_block_and_its_parts_are() -> None:
    packing_section = SCHEMA.read_text().split("## How values are packed")[1].split("##")[0]
    assert f"a *block* of {packing.WIDTH} series" in packing_section
    (one,) = packing.pack(np.array([packing.WIDTH]), np.array([[1.0, np.nan, 3.0]]), np.array([True]))
    sizes = [int(size) for size in re.findall(r"^\| (\d+)\b", packing_section, flags=re.MULTILINE)]
    assert (one.block, len(one.bytes)) == (1, sum(sizes))
    masks, numbers = struct.unpack("<HH", one.bytes[:4]), struct.unpack("<3d", one.bytes[4:])
    assert (masks, numbers[0], numbers[2]) == ((1, 1), 1.0, 3.0)
    assert math.isnan(numbers[1])
