"""The clock that a measurement in this package reads: a device is waited for, a CPU's other processes do not count."""

import time
from collections.abc import Callable

import torch


def device_clock(device: torch.device) -> Callable[[], float]:
    """Seconds of this thread where it does all the work itself, else the wall's when the device has finished."""
    if device.type == "cpu":
        return time.thread_time if torch.get_num_threads() == 1 else time.perf_counter

    def finished() -> float:
        torch.get_device_module(device).synchronize()
        return time.perf_counter()

    return finished
