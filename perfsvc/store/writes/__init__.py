"""Everything that changes the store, by noun; catalog: projects, runners, commits."""

from perfsvc.store.writes import alerts, catalog, jobs, judging, outbox, retention, runs, series, tokens

__all__ = ["alerts", "catalog", "jobs", "judging", "outbox", "retention", "runs", "series", "tokens"]
