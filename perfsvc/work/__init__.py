"""A job done on this machine, in this process: claim, measure, bring in each run as it is there, complete.

The remote runner does the same over HTTP; here the calls are direct.
"""

from perfsvc.work.doing import Done, Show, bring_in, work
from perfsvc.work.places import (
    Place,
    Selection,
    choose,
    local_runners,
    newest,
    order_here,
    place_of,
    register_project,
    register_runner,
    settings_of,
    unmeasured,
)

__all__ = [
    "Done",
    "Place",
    "Selection",
    "Show",
    "bring_in",
    "choose",
    "local_runners",
    "newest",
    "order_here",
    "place_of",
    "register_project",
    "register_runner",
    "settings_of",
    "unmeasured",
    "work",
]
