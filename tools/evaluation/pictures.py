"""The table and one series as pictures: SVG by hand, since they are dots, ticks and words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

import numpy as np

from perfsvc.stats import Floats
from tools.evaluation.data import noise, with_step
from tools.evaluation.rules import Rule
from tools.evaluation.table import OURS, Table

WIDTH, HEIGHT, LEFT, BELOW = 760, 380, 130, 46
GREY, BLUE, ORANGE = "#888888", "#2f6fb7", "#d9822b"


def compared(table: Table, across: str, up: str) -> str:
    """A dot a rule: one row of the table across, on a scale that spreads what is near 0, the other up, from 0 to 1."""
    dots = {
        rule: (table.rows[across][1][rule], table.rows[up][1][rule])
        for rule in table.rules
        if rule in table.rows[up][1]
    }
    most = max(x for x, _ in dots.values())

    def place(x: float, y: float) -> tuple[float, float]:
        right = LEFT + (WIDTH - LEFT - 120) * (x / most) ** 0.5
        return right, (HEIGHT - BELOW) - (HEIGHT - BELOW - 20) * y

    parts = [*_frame(across, up)]
    ticks = [x for x in (0.0, 1.0, 5.0, 10.0, 20.0) if x <= most]
    parts += [_text(place(x, 0.0)[0], HEIGHT - BELOW + 16, f"{x:g}", "middle") for x in ticks]
    parts += [_text(LEFT - 8, place(0.0, y)[1] + 4, f"{y:g}", "end") for y in (0.0, 0.25, 0.5, 0.75, 1.0)]
    for rule, dot in dots.items():
        x, y = place(*dot)
        colour = ORANGE if rule == OURS else BLUE
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}"/>')
        parts.append(_text(x + 9, y + 4, rule, "start", colour))
    return _svg(parts, HEIGHT)


def one_series(rules: Sequence[Rule], seed: int) -> str:
    """A series with outliers and a step of 5 % in its middle, and below it what each rule tells."""
    values = with_step(noise("5 % slow outliers", 150, 0.012, np.random.default_rng(seed)), 75, 0.05)
    tall = 200
    parts = [*_points(values, tall)]
    for row, rule in enumerate(rules):
        y = tall + 24 + 20 * row
        colour = ORANGE if rule.name == OURS else BLUE
        parts.append(_text(LEFT - 10, y + 4, rule.name, "end", colour))
        parts.append(f'<line x1="{LEFT}" y1="{y}" x2="{WIDTH - 10}" y2="{y}" stroke="{GREY}" stroke-opacity="0.3"/>')
        for place in rule.find([values])[0]:
            x = _across(place, len(values))
            parts.append(
                f'<line x1="{x:.1f}" y1="{y - 7}" x2="{x:.1f}" y2="{y + 7}" stroke="{colour}" stroke-width="3"/>'
            )
    return _svg(parts, tall + 24 + 20 * len(rules))


def _points(values: Floats, tall: int) -> Iterator[str]:
    low, high = float(np.quantile(values, 0.01)), float(np.quantile(values, 0.96))
    for place, value in enumerate(values):
        y = tall - (tall - 16) * float(np.clip((value - low) / (high - low), 0.0, 1.0))
        yield f'<circle cx="{_across(place, len(values)):.1f}" cy="{y:.1f}" r="2.2" fill="{GREY}"/>'
    x = _across(75, len(values))
    yield _line(x, 6, x, tall + 6, GREY, 'stroke-dasharray="4 4"')
    yield _text(LEFT - 10, 20, "time", "end")
    yield _text(x + 6, tall + 4, "5 % slower from here on", "start")


def _across(place: int, points: int) -> float:
    return LEFT + (WIDTH - 10 - LEFT) * place / points


def _frame(across: str, up: str) -> Iterator[str]:
    bottom = HEIGHT - BELOW
    yield f'<path d="M{LEFT},14 V{bottom} H{WIDTH - 10}" fill="none" stroke="{GREY}"/>'
    yield _text((LEFT + WIDTH) / 2, HEIGHT - 8, across, "middle")
    yield f'<g transform="translate(84 {bottom / 2}) rotate(-90)">{_text(0, 0, up, "middle")}</g>'


def _text(x: float, y: float, words: str, anchor: str, colour: str = GREY) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(words)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, how: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" {how}/>'


def _svg(parts: Sequence[str], height: int) -> str:
    body = "\n".join(parts)
    font = 'font-family="system-ui, sans-serif" font-size="12"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" {font}>\n{body}\n</svg>\n'


def draw(table: Table, rules: Sequence[Rule], folder: Path, *, seed: int) -> None:
    """Write the pictures that the table has rows for."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "evaluation-series.svg").write_text(one_series(rules, seed), encoding="utf-8")
    across, up = "false per 1,000 points, 150 points", "recall of 3 %, 150 points"
    if across in table.rows and up in table.rows:
        (folder / "evaluation-recall.svg").write_text(compared(table, across, up), encoding="utf-8")
