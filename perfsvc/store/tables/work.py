"""What is to be measured: schedules and jobs."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Double, Integer, String, Table, UniqueConstraint

from perfsvc import model
from perfsvc.store.columns import facts, key, link, metadata, moment, text, words

schedule = Table(
    "schedule",
    metadata,
    key(),
    link("project_id", "project", cascade=True),
    Column("name", String(200), nullable=False),
    Column("kind", words(model.JobKind, "kind"), nullable=False),
    Column("cron", String(100), nullable=False),
    Column("timezone", String(100), nullable=False, default="UTC"),
    Column("device", String(20), nullable=False, default=""),  # "" = every runner
    facts("spec"),
    Column("enabled", Boolean, nullable=False, default=True),
    moment("last_due_at"),
    UniqueConstraint("project_id", "name"),
)

job = Table(
    "job",
    metadata,
    key(),
    link("project_id", "project", cascade=True),
    link("runner_id", "runner"),
    Column("kind", words(model.JobKind, "kind"), nullable=False),
    Column("state", words(model.JobState, "state"), nullable=False, index=True),
    Column("attempt", Integer, nullable=False, default=1),
    moment("lease_until"),
    Column("cancel_requested", Boolean, nullable=False, default=False),
    Column("suite_revision", String(64), nullable=False, default=""),
    facts("spec"),  # commits, bench, grid, guards
    link("schedule_id", "schedule", required=False),
    moment("due_at"),
    moment("created_at", required=True),
    moment("delivered_at"),
    moment("started_at"),
    moment("ended_at"),
    Column("done", Double, nullable=False, default=0.0),  # share, 0 to 1
    text("message"),  # what it does now, or why it ended
    UniqueConstraint("schedule_id", "due_at", "runner_id"),  # two schedulers order a night once
)
