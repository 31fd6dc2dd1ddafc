"""The HTTP API: the rows of the command line and the pages, results from elsewhere, what people decide of alerts."""

from perfsvc.api.app import build

__all__ = ["build"]
