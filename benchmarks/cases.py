"""The cases of the process at hand: built once, warmed, told about, kept in a bounded cache.

asv's setup hooks would make every sample a single call, so there are none: the first call of a benchmark builds its
case while asv still warms up, every later call finds it.
"""

from functools import lru_cache

import torch

from benchmarks import devices, observe
from benchmarks.bodies import BUILDERS, Body


@lru_cache(maxsize=4)
def case(benchmark: str, kind: str, variant: str, name: object) -> Body:
    """Build a case, warm it up, and tell the facts file what it does. `benchmark` is asv's name of the caller."""
    devices.prepare()
    torch.manual_seed(0)
    params = (variant, name)
    try:
        body = BUILDERS[kind](variant, name)
        body()
    except NotImplementedError as reason:
        devices.tell(benchmark, params, {"skipped": str(reason), "device_state": devices.state()})
        devices.skip(str(reason))
    if devices.facts_wanted():
        seen = observe.operators(body)
        devices.tell(
            benchmark,
            params,
            {
                "operators": seen.counts,
                "backend": seen.backend,
                "device_state": devices.state(),
                "imported_from": str(devices.measured().__file__),
            },
        )
    return body
