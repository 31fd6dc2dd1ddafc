"""Everything that changes the store, by noun: catalog (projects, runners, commits), runs, judging, jobs."""

from perfsvc.store.writes import catalog, jobs, judging, runs

__all__ = ["catalog", "jobs", "judging", "runs"]
