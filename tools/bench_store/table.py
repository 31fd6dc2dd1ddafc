"""The table that is printed: what was measured on each system, beside what it must reach."""

import operator
from dataclasses import dataclass, field

#: What is measured -> how it is said, what it must reach. ">=": at least.
TARGETS = {
    "ingest": ("{:,.0f} points/s", ">=", 100_000),
    "ingest, peak memory": ("{:.0f} MB", "<=", 600),
    "second ingest of the same tree": ("{:.0f} times faster", ">=", 20),
    "tree to regressions, against asv publish": ("{:.1f} times faster", ">=", 5),
    "one night more, against asv publish": ("{:.1f} times faster", ">=", 50),
    "one series of 2,000 points": ("{:.1f} ms", "<=", 10),
    "overview: counts and the worst 200": ("{:.1f} ms", "<=", 50),
    "alerts": ("{:.1f} ms", "<=", 20),
    "bytes a point, SQLite": ("{:.1f}", "<=", 45),
    "bytes a point, PostgreSQL": ("{:.1f}", "<=", 100),
}

_COMPARE = {">=": operator.ge, "<=": operator.le}


@dataclass
class Table:
    """`keep` what was measured, `markdown` it."""

    found: dict[tuple[str, str], float] = field(default_factory=dict)  #: by what and system
    notes: list[str] = field(default_factory=list)

    def keep(self, what: str, system: str, value: float) -> None:
        assert what in TARGETS
        self.found[(what, system)] = value

    def markdown(self) -> str:
        systems = list(dict.fromkeys(system for _, system in self.found))
        rows = [["", "wanted", *systems]]
        for what, (form, sign, target) in TARGETS.items():
            cells = [_cell(self.found.get((what, system)), form, sign, target) for system in systems]
            if any(cells):
                rows.append([what, f"{sign} {form.format(target)}", *cells])
        rows.insert(1, ["---"] * len(rows[0]))
        lines = ["| " + " | ".join(row) + " |" for row in rows]
        return "\n".join([*self.notes, "", *lines])


def _cell(value: float | None, form: str, sign: str, target: float) -> str:
    if value is None:
        return ""
    return form.format(value) + ("" if _COMPARE[sign](value, target) else " (missed)")
