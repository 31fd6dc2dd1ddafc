"""What there is: projects, runners, tokens, environments, commits."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Index, Integer, String, Table, UniqueConstraint

from perfsvc import model
from perfsvc.store.columns import facts, key, link, metadata, moment, text, words

project = Table(
    "project",
    metadata,
    key(),
    Column("name", String(200), nullable=False, unique=True),
    text("repository"),  # the folder or URL that commits are read from; "" = results only
    Column("branch", String(200), nullable=False, default="main"),
    text("commit_url"),
    moment("created_at", required=True),
)

runner = Table(
    "runner",
    metadata,
    key(),
    Column("name", String(200), nullable=False, unique=True),
    Column("device", words(model.Device, "device"), nullable=False),
    facts("labels"),
    facts("machine_facts"),
    moment("created_at", required=True),
    moment("last_seen_at"),
)

token = Table(
    "token",
    metadata,
    key(),
    Column("name", String(200), nullable=False),
    Column("digest", String(64), nullable=False, unique=True),  # SHA-256 of the token, which is shown once
    Column("scopes", JSON, nullable=False),
    link("project_id", "project", required=False, cascade=True),
    link("runner_id", "runner", required=False, cascade=True),
    moment("created_at", required=True),
    moment("expires_at"),
    moment("revoked_at"),
    moment("last_used_at"),
)

environment = Table(
    "environment",
    metadata,
    key(),
    Column("digest", String(64), nullable=False, unique=True),
    facts("lock"),
    facts("fingerprint"),
    moment("first_seen_at", required=True),
)

commit = Table(
    "commit",
    metadata,
    key(),
    link("project_id", "project", cascade=True),
    Column("hash", String(64), nullable=False),
    Column("position", Integer),  # on the watched branch's first-parent line; NULL = not on it, or not known
    Column("parents", JSON, nullable=False, default=list),
    moment("authored_at", required=True),
    text("author"),
    text("subject"),
    Column("trailers", JSON, nullable=False, default=list),
    Column("changed_paths", JSON, nullable=False, default=list),
    UniqueConstraint("project_id", "hash"),
    Index(None, "project_id", "position"),
)
