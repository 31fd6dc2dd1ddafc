"""The clock: nights are ordered, silent runners reaped, lost deliveries repeated, the outbox emptied.

`due` says when a night is (pure), `nights` orders one, `clock` keeps the ticks.
"""

from perfsvc.schedule.clock import Clock
from perfsvc.schedule.due import latest_due, trigger
from perfsvc.schedule.nights import order_night

__all__ = ["Clock", "latest_due", "order_night", "trigger"]
