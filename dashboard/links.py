"""Addresses of the pages: a link holds the whole state of what it leads to."""

from __future__ import annotations

from urllib.parse import urlencode

#: Pages lie side by side, so an address without a slash works under any base path.
TONIGHT, SERIES, CORRECTNESS, ALERT = "tonight", "series", "correctness", "alert"


def to(page: str, **state: str | int | None) -> str:
    """`series?series=7`; what is None or empty stays out of the address."""
    given = {name: str(value) for name, value in state.items() if value not in (None, "")}
    path = "." if page == TONIGHT else page
    return f"{path}?{urlencode(given)}" if given else path


def alert(alert_id: int) -> str:
    return to(ALERT, alert=alert_id)


def series(series_id: int) -> str:
    return to(SERIES, series=series_id)
