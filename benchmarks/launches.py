"""What does a CUDA device do for a body? Kernels launched, exact, and its own time where launching hides it.

Below some 100 us a call costs the host more than the device, and a clock on the host reads the host. Unproven: from
PyTorch's documentation; no CUDA device has run it. Other devices skip these cases.
"""

from typing import ClassVar

from benchmarks import devices, observe
from benchmarks.bodies import Body
from benchmarks.cases import case, reasons
from benchmarks.common import Timed, measures, runs, samples


class _Asked:
    """Bodies of one kind, asked of the device."""

    kind: ClassVar[str]

    def _body(self, method: str, variant: str, name: str) -> Body:
        benchmark = f"launches.{type(self).__name__}.{method}"
        with reasons(benchmark, variant, name):
            if devices.device() != "cuda":
                devices.skip(f"{devices.device()} has no CUDA kernels and no CUDA events")
        return case(benchmark, self.kind, variant, name)


class _Kernels(_Asked):
    @measures("kernels", unit="kernels", exact=True)
    def track_kernels(self, variant: str, name: str) -> int:
        return observe.kernels(self._body("track_kernels", variant, name))


class _DeviceTime(_Asked):
    @measures("time", unit="seconds", rounds=Timed.rounds)
    def track_seconds(self, variant: str, name: str) -> dict[str, object]:
        body = self._body("track_seconds", variant, name)
        return samples(lambda: devices.device_seconds(body))


@runs("decode launched")
class Decode(_Kernels, _DeviceTime):
    """One query beside a context."""

    kind = "decode"


@runs("cache launched")
class Cache(_Kernels, _DeviceTime):
    """A decode step through a cache."""

    kind = "cache"
