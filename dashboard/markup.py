"""Make HTML out of other people's names without ever taking them for HTML.

A child that is `Html` was made here; every other text is escaped where it joins. Nothing else may build markup.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from html import escape
from typing import TypeAlias

from perfsvc.charts import plain

#: So much of a foreign text is told when one points at it.
LONGEST_HINT = 600


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


Child: TypeAlias = "str | int | Iterable[str | int | None] | None"


def el(tag: str, *children: Child, **attributes: str | int | bool | None) -> Html:
    """An element. `cls` is class, `data_label` is data-label; attributes that are None or False are left out."""
    shown = "".join(_attribute(name, value) for name, value in attributes.items())
    return Html(f"<{tag}{shown}>{join(children)}</{tag}>")


def join(children: Iterable[Child]) -> Html:
    return Html("".join(_child(child) for child in children))


def _child(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Html):
        return str(child)
    if isinstance(child, str | int):
        return escape(str(child), quote=True)
    return join(child)


def _attribute(name: str, value: str | int | bool | None) -> str:
    if value is None or value is False:
        return ""
    shown = "class" if name == "cls" else name.replace("_", "-")
    return f" {shown}" if value is True else f' {shown}="{escape(str(value), quote=True)}"'


def foreign(text: str, longest: int = 120, *, cls: str = "") -> Html:
    """A name, subject or message from a measured repository: one short line, kept from turning its surroundings."""
    short = plain(text, longest)
    if not short:
        return Html("")
    hint = plain(text, LONGEST_HINT)
    return el("bdi", short, cls=cls or None, title=hint if hint != short else None)


def image(svg: str, alt: str) -> Html:
    """An SVG of ours as a picture: as such it can load and run nothing."""
    if not svg:
        return Html("")
    data = base64.b64encode(svg.encode()).decode()
    return Html(f'<img alt="{escape(alt)}" src="data:image/svg+xml;base64,{data}">')


def web_address(prefix: str, rest: str) -> str | None:
    """`prefix` + `rest` where that is a web address; anything else (javascript:, file:) is no link."""
    return prefix + rest if prefix.startswith(("https://", "http://")) else None
