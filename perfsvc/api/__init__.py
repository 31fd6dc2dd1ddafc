"""The HTTP API, reading part: the same rows as the command line and the pages, over loopback.

Nothing is changed through it yet, and there are no tokens yet: it refuses to listen beyond this machine.
"""

from perfsvc.api.app import build

__all__ = ["build"]
