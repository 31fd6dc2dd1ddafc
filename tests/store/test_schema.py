"""docs/schema.md tells of every table, and of no other."""

from __future__ import annotations

import re
from pathlib import Path

from perfsvc.store import tables

SCHEMA = Path(__file__).parents[2] / "docs" / "schema.md"


def test_the_page_lists_every_table_and_no_other() -> None:
    told = re.findall(r"^\| `(\w+)` \|", SCHEMA.read_text(), flags=re.MULTILINE)
    assert sorted(told) == sorted(tables.metadata.tables)


def test_every_row_says_what_it_means() -> None:
    rows = re.findall(r"^\| `\w+` \| (.*) \|$", SCHEMA.read_text(), flags=re.MULTILINE)
    assert len(rows) == len(tables.metadata.tables)
    assert all(len(row) > 20 for row in rows)
