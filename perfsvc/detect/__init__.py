"""Find the commits where a series changes level. Pure: values in time order in, changes out.

machine     what all series of a machine share in a night, taken out
steps       one series, or many: scale -> noise -> segments (candidates) -> confirmation -> flags
exact       one series of a metric without noise
family      all series of one report: which of them to tell
online      one more point a night: what is known of each change
power       what a series could show at all
cause       whose doing a change is, from its facts
"""

from __future__ import annotations

from perfsvc.detect.cause import Facts, cause_of
from perfsvc.detect.exact import exact_changes
from perfsvc.detect.family import q_values, worse_p
from perfsvc.detect.machine import machine_fluctuation, without_fluctuation
from perfsvc.detect.online import Known, suspect, watch
from perfsvc.detect.power import minimum_detectable_effect
from perfsvc.detect.steps import NOISY_SPREAD, detect_batch, detect_changes

__all__ = [
    "NOISY_SPREAD",
    "Facts",
    "Known",
    "cause_of",
    "detect_batch",
    "detect_changes",
    "exact_changes",
    "machine_fluctuation",
    "minimum_detectable_effect",
    "q_values",
    "suspect",
    "watch",
    "without_fluctuation",
    "worse_p",
]
