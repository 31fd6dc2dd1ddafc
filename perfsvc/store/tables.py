"""Every table of the store. The one baseline revision is made from this file; nobody outside `store` sees it.

Seconds and bytes are SI, ratios are ratios, times are UTC. A name is the same here, in model.py and on the screen.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from perfsvc import model
from perfsvc.store.columns import facts, key, link, moment, text, words

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

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
    Column("series_id", Integer, ForeignKey("series.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column(
        "run_id", Integer, ForeignKey("run.id", ondelete="CASCADE"), primary_key=True, autoincrement=False, index=True
    ),
    Column("value", Double),  # NULL = skipped, with its reason
    Column("q25", Double),
    Column("q75", Double),
    Column("rounds", Integer),
    Column("wrong", Boolean, nullable=False, default=False),  # a guard that covers it failed in this run
    Column("skip", Text),
    CheckConstraint("(value IS NULL) = (skip IS NOT NULL)", name="value_or_reason"),
    sqlite_with_rowid=False,
)

series_state = Table(
    "series_state",
    metadata,
    Column("series_id", Integer, ForeignKey("series.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    link("project_id", "project", cascade=True, index=True),
    Column("verdict", words(model.Verdict, "verdict"), nullable=False),
    Column("ratio", Double),  # of the newest standing change
    Column("latest", Double),
    link("latest_commit_id", "commit", required=False),
    moment("latest_at"),
    Column("points", Integer, nullable=False, default=0),
    Column("last_values", JSON, nullable=False, default=list),  # up to 30, oldest first
    Column("sigma", Double),
    Column("minimum_detectable_effect", Double),
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

alert = Table(
    "alert",
    metadata,
    key(),
    link("project_id", "project", cascade=True),
    Column("kind", words(model.AlertKind, "kind"), nullable=False),
    Column("state", words(model.AlertState, "state"), nullable=False, index=True),
    Column("evidence", words(model.Evidence, "evidence"), nullable=False, default=model.Evidence.NONE),
    Column("cause", words(model.Cause, "cause"), nullable=False, default=model.Cause.UNDECIDED),
    link("last_good_id", "commit", required=False),  # NULL: nothing good was ever seen
    link("first_bad_id", "commit", required=False),  # NULL: not about a commit
    text("title"),
    text("explanation"),
    Column("worst_ratio", Double),
    Column("owner", String(300), nullable=False, default=""),
    moment("created_at", required=True, index=True),
    moment("updated_at", required=True),
    moment("due_at"),
    moment("muted_until"),
)

change = Table(
    "change",
    metadata,
    key(),
    link("series_id", "series", cascade=True, index=True),
    Column("kind", words(model.ChangeKind, "kind"), nullable=False),
    Column("state", words(model.ChangeState, "state"), nullable=False),
    link("last_good_id", "commit"),
    link("first_bad_id", "commit"),  # "bad" reads as "new" where the change is for the better
    Column("worse", Boolean, nullable=False),
    Column("ratio", Double),  # NULL = from 0 to something
    Column("ratio_low", Double),
    Column("ratio_high", Double),
    Column("before", Double, nullable=False),
    Column("after", Double, nullable=False),
    Column("p", Double, nullable=False),
    Column("q", Double),
    Column("auc", Double, nullable=False),
    Column("sigma", Double, nullable=False),
    Column("n_before", Integer, nullable=False),
    Column("n_after", Integer, nullable=False),
    Column("flags", JSON, nullable=False, default=list),
    Column("environment_moved", Boolean, nullable=False, default=False),  # where the level moved, too
    text("explanation"),
    link("alert_id", "alert", required=False, index=True),
    moment("found_at", required=True),
    moment("withdrawn_at"),
)

alert_guard = Table(
    "alert_guard",
    metadata,
    Column("alert_id", Integer, ForeignKey("alert.id", ondelete="CASCADE"), primary_key=True),
    Column("machine", String(200), primary_key=True),
    Column("test", Text, primary_key=True),
    Column("guard", String(100), nullable=False),
    Column("variant", String(200), nullable=False, default=""),
    link("last_good_id", "commit", required=False),
    link("first_bad_id", "commit"),
    Column("error", Double),
    Column("tolerance", Double),
    text("message"),
    moment("recovered_at"),
)

alert_event = Table(
    "alert_event",
    metadata,
    key(),
    link("alert_id", "alert", cascade=True, index=True),
    moment("at", required=True),
    Column("actor", String(300), nullable=False),
    Column("action", String(40), nullable=False),
    text("reason"),
)

experiment = Table(
    "experiment",
    metadata,
    key(),
    link("project_id", "project", cascade=True),
    Column("kind", words(model.ExperimentKind, "kind"), nullable=False),
    link("alert_id", "alert", required=False, index=True),
    link("job_id", "job", required=False),
    link("base_id", "commit"),
    link("head_id", "commit"),
    Column("verdict", words(model.ExperimentVerdict, "verdict")),  # NULL = not ended
    text("reason"),
    moment("created_at", required=True),
    moment("ended_at"),
)

experiment_pair = Table(
    "experiment_pair",
    metadata,
    Column("experiment_id", Integer, ForeignKey("experiment.id", ondelete="CASCADE"), primary_key=True),
    Column("series_id", Integer, ForeignKey("series.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("control", Boolean, primary_key=True, default=False),  # the A/A that runs alongside
    Column("a", Double, nullable=False),
    Column("b", Double, nullable=False),
)

claim_result = Table(
    "claim_result",
    metadata,
    key(),
    link("project_id", "project", cascade=True),
    Column("claim", String(200), nullable=False),
    Column("kind", words(model.ClaimKind, "kind"), nullable=False),
    Column("machine", String(200), nullable=False),
    Column("verdict", words(model.ClaimVerdict, "verdict"), nullable=False),
    Column("value", Double),
    Column("low", Double),
    Column("high", Double),
    text("reason"),
    moment("judged_at", required=True),
    Index(None, "project_id", "claim", "machine"),
)

notification = Table(
    "notification",
    metadata,
    key(),
    link("project_id", "project", cascade=True),
    Column("channel", String(100), nullable=False),
    Column("dedupe_key", String(300), nullable=False),
    Column("payload", JSON, nullable=False),
    Column("tries", Integer, nullable=False, default=0),
    moment("created_at", required=True),
    moment("next_at", index=True),  # NULL = nothing more to do
    moment("sent_at"),
    text("error"),
    UniqueConstraint("channel", "dedupe_key"),
)
