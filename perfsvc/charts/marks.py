"""Colours, shapes and words of the marks, and how a foreign name becomes one line of text.

Colours are Okabe & Ito's (the blue a little lighter), with a shape beside each; all reach 3:1 on the light and the dark
page, but for the purple, which has the largest shape.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from perfsvc.model import Outcome

BLUE, VERMILLION, GREEN, PURPLE, GREY = "#2E86C9", "#D55E00", "#009E73", "#CC79A7", "#8A8A8A"

#: Longer names are shortened.
LONGEST_NAME = 120

#: A sparkline spans at least this share of its values: a quiet series looks quiet.
LEAST_SPAN = 0.15

_X = "M-1,-.6L-.6,-1L0,-.4L.6,-1L1,-.6L.4,0L1,.6L.6,1L0,.4L-.6,1L-1,.6L-.4,0Z"
_TICK = "M-.3,-1L.3,-1L.3,1L-.3,1Z"

#: kind of mark -> colour, shape. Two marks never differ by colour alone.
MARKS = {
    "measured": (BLUE, "circle"),
    "wrong result": (PURPLE, _X),
    "missing": (GREY, _TICK),
    "worse from here": (VERMILLION, "triangle-up"),
    "better from here": (GREEN, "triangle-down"),
    "different from here": (GREY, "square"),
    "environment changed": (GREY, "diamond"),
}
OUTCOMES = {
    Outcome.PASSED.value: (GREEN, "circle"),
    Outcome.FAILED.value: (VERMILLION, _X),
    Outcome.NOT_RUN.value: (GREY, _TICK),
    Outcome.NOT_APPLICABLE.value: (GREY, "square"),
}


def sparkline(values: Sequence[float], *, width: int = 96, height: int = 22) -> str:
    """The last values as a small SVG without axes; readable on either page."""
    if len(values) < 2:
        return ""
    low, high = min(values), max(values)
    span = max(high - low, LEAST_SPAN * abs(high + low) / 2) or 1.0
    middle = (high + low) / 2
    step = (width - 6) / (len(values) - 1)
    dots = [(3 + i * step, height / 2 - (v - middle) / span * (height - 8)) for i, v in enumerate(values)]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in dots)
    x, y = dots[-1]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">'
        f'<polyline points="{line}" fill="none" stroke="{GREY}" stroke-width="1.3"/>'
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.4" fill="{BLUE}"/></svg>'
    )


def plain(text: str, longest: int = LONGEST_NAME) -> str:
    """A foreign name as one short line: no control, no direction and no line-break characters."""
    head = text[: longest * 4]
    line = "".join(" " if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp", "Cs") else c for c in head)
    line = " ".join(line.split())
    return line if len(line) <= longest else line[: longest - 1] + "…"
