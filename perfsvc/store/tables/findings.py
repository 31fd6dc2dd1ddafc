"""What was found out: changes, alerts, experiments, claims; and what people are told of it."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Double, ForeignKey, Index, Integer, String, Table, Text, UniqueConstraint

from perfsvc import model
from perfsvc.store.columns import key, link, metadata, moment, text, words

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
