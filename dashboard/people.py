"""Who looks at the page, and what they may do."""

from __future__ import annotations

import getpass

import streamlit as st

from perfsvc.hosts import is_loopback
from perfsvc.settings import DashboardSection

#: Set by a proxy in front: then the request does not come from this machine, whatever its address says.
FORWARDED = ("X-Forwarded-For", "X-Forwarded-Host", "Forwarded", "X-Real-Ip")


def person() -> str:
    """The name of whoever is signed in; on this very machine, its user. Empty: a stranger."""
    if getattr(st.user, "is_logged_in", False):
        return str(st.user.get("email") or st.user.get("name") or "")
    return _local_user() if _is_local() else ""


def may_read(options: DashboardSection, name: str) -> bool:
    return options.read == "public" or bool(name)


def may_triage(options: DashboardSection, name: str) -> bool:
    """A name is needed always; where names are listed, a listed one."""
    return bool(name) and (not options.triage or name in options.triage)


def _is_local() -> bool:
    address = str(st.get_option("server.address") or "")
    return is_loopback(address) and not any(st.context.headers.get(header) for header in FORWARDED)


def _local_user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        return "local user"
