"""What came in: runs, series, their values, guards and facts; and what holds of a series today."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from perfsvc import model
from perfsvc.store.columns import facts, key, link, metadata, moment, text, words

run = Table(
    "run",
    metadata,
    key(),
    link("project_id", "project", cascade=True),
    Column("machine", String(200), nullable=False),
    Column("env_name", String(300), nullable=False, default=""),
    link("commit_id", "commit", index=True),
    Column("origin", String(60), nullable=False, default=""),  # "" = ingested, "job:7" = measured by that job
    link("environment_id", "environment", required=False),
    link("job_id", "job", required=False, index=True),
    Column("attempt", Integer),
    Column("content_hash", String(64), nullable=False, index=True),
    Column("suite_revision", String(64), nullable=False, default=""),
    moment("started_at"),
    Column("duration", Double),
    facts("machine_facts"),
    facts("readings"),
    facts("canary"),
    Column("messages", JSON, nullable=False, default=list),
    Column("n_values", Integer, nullable=False, default=0),  # in `measurement`
    Column("n_skips", Integer, nullable=False, default=0),  # in `skip`
    Column("noisy", Boolean, nullable=False, default=False),
    Column("excluded", Text),  # the reason why it is left out of every series; NULL = it counts
    Column("samples", LargeBinary),  # raw samples, zlib over JSON; dropped by retention
    moment("stored_at", required=True, index=True),
    moment("judged_at", index=True),  # NULL: stored, and not looked at yet
    UniqueConstraint("project_id", "machine", "env_name", "commit_id", "origin"),
)

metric = Table(
    "metric",
    metadata,
    key(),
    Column("name", String(100), nullable=False),
    Column("unit", String(100), nullable=False),
    Column("direction", words(model.Direction, "direction"), nullable=False),
    Column("exact", Boolean, nullable=False, default=False),
    UniqueConstraint("name", "unit", "direction", "exact"),
)

benchmark = Table(
    "benchmark",
    metadata,
    key(),
    link("project_id", "project", cascade=True),
    Column("name", Text, nullable=False),
    Column("version", String(100), nullable=False, default=""),
    Column("param_names", JSON, nullable=False, default=list),
    facts("attributes"),
    UniqueConstraint("project_id", "name", "version"),
)

series = Table(
    "series",
    metadata,
    key(),
    link("project_id", "project", cascade=True),
    link("benchmark_id", "benchmark", cascade=True),
    Column("params", Text, nullable=False),  # JSON list of asv's reprs
    link("metric_id", "metric"),
    Column("machine", String(200), nullable=False),
    UniqueConstraint("benchmark_id", "params", "metric_id", "machine"),
    Index(None, "project_id", "machine"),
)

measurement = Table(
    "measurement",
    metadata,
    Column("block", Integer, primary_key=True, autoincrement=False),  # of neighbouring series: see packing.py
    Column(
        "run_id", Integer, ForeignKey("run.id", ondelete="CASCADE"), primary_key=True, autoincrement=False, index=True
    ),
    Column("packed", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

skip = Table(
    "skip",
    metadata,
    Column("series_id", Integer, ForeignKey("series.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column(
        "run_id", Integer, ForeignKey("run.id", ondelete="CASCADE"), primary_key=True, autoincrement=False, index=True
    ),
    Column("reason", Text, nullable=False),
    Column("wrong", Boolean, nullable=False, default=False),  # a guard that covers it failed in this run
    sqlite_with_rowid=False,
)

series_state = Table(
    "series_state",
    metadata,
    Column("series_id", Integer, ForeignKey("series.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    link("project_id", "project", cascade=True),
    Column("machine", String(200), nullable=False),  # the series', so that the overview reads one table
    Column("verdict", words(model.Verdict, "verdict"), nullable=False),
    Column("ratio", Double),  # of the newest standing change
    Column("latest", Double),
    link("latest_commit_id", "commit", required=False),
    moment("latest_at"),
    Column("points", Integer, nullable=False, default=0),
    Column("last_values", JSON, nullable=False, default=list),  # up to 30, oldest first
    Column("sigma", Double),
    Column("minimum_detectable_effect", Double),
    Index(None, "project_id", "verdict", "machine", "ratio"),
)

guard_result = Table(
    "guard_result",
    metadata,
    key(),
    link("run_id", "run", cascade=True, index=True),
    Column("guard", String(100), nullable=False),
    Column("test", Text, nullable=False),
    Column("outcome", words(model.Outcome, "outcome"), nullable=False),
    Column("variant", String(200), nullable=False, default=""),
    Column("device", String(20), nullable=False, default=""),
    Column("dtype", String(40), nullable=False, default=""),
    Column("error", Double),
    Column("tolerance", Double),
    text("covers"),
    text("message"),
    UniqueConstraint("run_id", "test"),
)

fact = Table(
    "fact",
    metadata,
    key(),
    link("run_id", "run", cascade=True, index=True),
    Column("benchmark", Text, nullable=False),
    Column("params", Text, nullable=False),
    facts("operators"),
    Column("backend", String(100), nullable=False, default=""),
    facts("device_state"),
    text("imported_from"),
)
