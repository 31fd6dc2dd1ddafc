"""Tokens of machines: random texts that are shown once and kept as hashes, and what each lets its holder do."""

from __future__ import annotations

import hashlib
import secrets
from enum import StrEnum

PREFIX = "perfsvc_"


class Scope(StrEnum):
    READ = "read"
    INGEST = "ingest"  #: post results
    RUNNER = "runner"  #: take jobs and post their runs
    TRIAGE = "triage"  #: acknowledge, accept, dismiss, reopen alerts; exclude runs
    ADMIN = "admin"  #: all of it, and add projects


def make() -> str:
    """A new token: 256 random bits, behind a prefix by which a scanner of repositories finds one that was leaked."""
    return PREFIX + secrets.token_urlsafe(32)


def digest(token: str) -> str:
    """What is kept. A hash for passwords would be slower and no safer: nobody guesses 256 bits."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
