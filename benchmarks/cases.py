"""The cases of the process at hand: built once, warmed, told about, kept in a bounded cache.

asv's setup hooks would make every sample a single call, so there are none: the first call of a benchmark builds its
case while asv still warms up, every later call finds it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import torch

from benchmarks import devices, headroom, observe
from benchmarks.bodies import BUILDERS, Body

#: torch.compile would trace the watching, too, and the timed calls after it would not be those that were compiled.
UNWATCHED = ("compiled",)


@lru_cache(maxsize=4)
def case(benchmark: str, kind: str, variant: str, name: object) -> Body:
    """Build a case, warm it up, and tell the facts file what it does. `benchmark` is asv's name of the caller."""
    with reasons(benchmark, variant, name):
        torch.manual_seed(0)
        body = BUILDERS[kind](variant, name)
        with devices.measuring():
            body()
    if devices.facts_wanted():
        seen = observe.Operators({}, "", 0) if variant in UNWATCHED else observe.operators(body)
        devices.tell(
            benchmark,
            (variant, name),
            {
                "operators": seen.counts,
                "backend": seen.backend,
                "device_state": devices.state(),
                "imported_from": str(devices.measured().__file__),
            },
        )
    return body


def counted(benchmark: str, kind: str, variant: str, name: object) -> float:
    """The number that a case's body gives."""
    found = case(benchmark, kind, variant, name)()
    assert isinstance(found, (int, float)), f"{kind}: a body that gives {type(found).__name__}"
    return found


@contextmanager
def reasons(benchmark: str, *params: object) -> Iterator[None]:
    """Make the device ready; what then keeps a case from being measured goes into the facts file: asv keeps no reasons.

    What the measured commit lacks, and too little memory, skips the case; anything else fails it.
    """
    try:
        devices.prepare()
        with headroom.limited():
            yield
    except NotImplementedError as reason:
        devices.tell(benchmark, params, {"skipped": str(reason)})
        devices.skip(str(reason))
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
        if headroom.refused(error):
            devices.tell(benchmark, params, {"skipped": f"too little memory: {said}"})
            devices.skip(f"too little memory: {said}")
        devices.tell(benchmark, params, {"failed": said})
        raise
