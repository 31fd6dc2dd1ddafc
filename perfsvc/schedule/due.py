"""When a schedule is due: cron lines that mean what people think, and the due time that has just been. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger

from perfsvc.errors import SettingsError

#: Years whose changes of clocks are looked at: rules of a zone repeat.
YEARS_AHEAD = 3


def trigger(cron: str, timezone: str) -> CronTrigger:
    """When a schedule is due. Raises: SettingsError: no cron line, numbers for weekdays, an hour that comes twice."""
    said = f"[night] cron = {cron!r}"
    fields = cron.split()
    if len(fields) != 5:
        raise SettingsError(f"{said}: wanted five fields: minute hour day month weekday")
    if any(c.isdigit() for c in fields[4]):
        raise SettingsError(
            f"{said}: weekdays by name (mon, sun), since numbers mean different days to different crons"
        )
    try:
        zone = ZoneInfo(timezone)
    except (ValueError, KeyError, OSError):
        raise SettingsError(f"[night] timezone = {timezone!r}: no such zone; wanted UTC or Europe/Berlin") from None
    try:
        found = CronTrigger.from_crontab(cron, timezone=zone)
    except (ValueError, KeyError) as error:
        raise SettingsError(f"{said}: {error}") from None
    unsafe = sorted(_hours(found) & shifting_hours(zone, datetime.now(UTC).year))
    if unsafe:
        hours = ", ".join(f"{hour:02d}:xx" for hour in unsafe)
        raise SettingsError(
            f"{said}: {hours} in {timezone} comes twice or never when clocks change; another hour, or UTC"
        )
    return found


def latest_due(due: CronTrigger, now: datetime, within: timedelta) -> datetime | None:
    """The newest due time up to `now`, not older than `within`, to the minute in UTC; None when there was none."""
    found, moment = None, due.get_next_fire_time(None, now - within)
    while moment is not None and moment <= now:
        found, moment = moment, due.get_next_fire_time(moment, moment + timedelta(seconds=1))
    return None if found is None else found.astimezone(UTC).replace(second=0, microsecond=0)


def _hours(due: CronTrigger) -> set[int]:
    """The local hours at which it may fire."""
    (field,) = (field for field in due.fields if field.name == "hour")
    probe = datetime(2001, 1, 1, tzinfo=UTC)
    return {hour for hour in range(24) if field.get_next_value(probe.replace(hour=hour)) == hour}


@cache
def shifting_hours(zone: ZoneInfo, year: int) -> frozenset[int]:
    """Local hours that a change of this zone's clocks repeats or leaves out, in these years."""
    found: set[int] = set()
    start = datetime(year, 1, 1, tzinfo=UTC)
    offsets = [
        (start + timedelta(hours=h), _offset(zone, start + timedelta(hours=h))) for h in range(YEARS_AHEAD * 8784)
    ]
    for (_, before), (at, after) in pairwise(offsets):
        if before != after:
            ends = sorted((at.replace(tzinfo=None) + before, at.replace(tzinfo=None) + after))
            moment = ends[0].replace(minute=0)
            while moment < ends[1]:
                found.add(moment.hour)
                moment += timedelta(hours=1)
    return frozenset(found)


def _offset(zone: ZoneInfo, at: datetime) -> timedelta:
    return at.astimezone(zone).utcoffset() or timedelta()
