"""This machine: the facts asv wants, what it feels like right now, whether to measure at all, and a canary.

Readings are never part of the fingerprint. The canary is NumPy in the runner's own environment: if it moved and the
code's numbers moved with it, the machine moved.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from perfsvc.model import Device
from perfsvc.runner.fingerprint import answer, cpu_model, fingerprint, nvidia_gpus, read_text

__all__ = ["Preflight", "canary", "default_name", "fingerprint", "machine_facts", "preflight", "readings"]

GB = 1e9
LOAD_LIMIT = 0.5  #: busy cores beside us, per core: above it wall-clock numbers are noise
HOT = 90.0  #: degrees Celsius at which laptops and servers begin to slow down
DISK_LIMIT = 2 * GB
MEMORY_LIMIT = 1 * GB
GPU_QUERY = "temperature.gpu,utilization.gpu,memory.used,clocks.sm,power.draw,pstate"


@dataclass(frozen=True, slots=True)
class Preflight:
    """Reasons against measuring now. A night defers for `defer`; a person who asked is told both, and is served."""

    warn: tuple[str, ...] = ()
    defer: tuple[str, ...] = ()


def default_name(device: Device) -> str:
    """A runner's name from the host's: safe as a folder's name and in an address ("myhost-cpu")."""
    host = re.sub(r"[^a-z0-9]+", "-", socket.gethostname().split(".")[0].lower()).strip("-")
    return f"{host or 'local'}-{device}"


def machine_facts(name: str) -> dict[str, str]:
    """The fields of asv's machine.json, all of them text."""
    return {
        "machine": name,
        "os": f"{platform.system()} {platform.release()}",
        "arch": platform.machine(),
        "cpu": cpu_model(),
        "num_cpu": str(os.cpu_count() or 1),
        "ram": str(psutil.virtual_memory().total),
    }


def readings(home: Path, device: Device = Device.CPU) -> dict[str, Any]:
    """Load, heat, power, memory, disk at this moment; what cannot be read is left out."""
    load = os.getloadavg()
    told: dict[str, Any] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "load": [round(value, 2) for value in load],
        "memory_available": psutil.virtual_memory().available,
        "disk_free": shutil.disk_usage(_existing(home)).free,
    }
    if (celsius := _temperature()) is not None:
        told["celsius"] = celsius
    with contextlib.suppress(Exception):  # psutil raises assorted errors where there is no battery to ask
        if battery := psutil.sensors_battery():
            told["power"] = "mains" if battery.power_plugged else "battery"
            told["battery"] = round(battery.percent)
    if platform.system() == "Darwin":
        told.update(_macos_power())
    elif profile := read_text("/sys/firmware/acpi/platform_profile"):
        told["low_power"] = profile == "low-power"
    if device is Device.CUDA:
        told["gpu"] = nvidia_gpus(GPU_QUERY)
        told["gpu_processes"] = len(answer(["nvidia-smi", "--query-compute-apps=pid", "--format=csv,noheader"]).split())
    return told


def preflight(told: Mapping[str, Any]) -> Preflight:
    """Judge `readings`. Before a run; the same readings after it judge the run."""
    cores = os.cpu_count() or 1
    defer, warn = [], []
    if told["load"][0] > LOAD_LIMIT * cores:
        warn.append(f"load {told['load'][0]:.1f} on {cores} cores: other programs share the machine")
    if told.get("celsius", 0.0) > HOT:
        defer.append(f"the processor is at {told['celsius']:.0f} degrees, above {HOT:.0f}")
    if told.get("power") == "battery":
        defer.append("the machine runs on its battery")
    if told.get("low_power"):
        defer.append("the machine is in a low-power state")
    if told.get("speed_limit", 100) < 100:
        defer.append(f"the system holds the processor at {told['speed_limit']} % of its speed")
    if told["memory_available"] < MEMORY_LIMIT:
        defer.append(f"{told['memory_available'] / GB:.1f} GB of memory are free, below {MEMORY_LIMIT / GB:.0f}")
    if told["disk_free"] < DISK_LIMIT:
        defer.append(f"{told['disk_free'] / GB:.1f} GB of disk are free, below {DISK_LIMIT / GB:.0f}")
    if told.get("gpu_processes"):
        defer.append(f"{told['gpu_processes']} other processes use the GPU")
    return Preflight(tuple(warn), tuple(defer))


def canary() -> dict[str, float]:
    """Seconds of fixed arithmetic and of a fixed memory read: best of five, wall clock and the thread's processor time.

    Takes some 0.3 s. Elementwise only, so no BLAS and no threads are in it.
    """
    import numpy as np

    small = np.linspace(0.1, 1.0, 4096)  # 32 KB: stays in the first cache
    large = np.ones(16_000_000)  # 128 MB: stays in no cache

    def arithmetic() -> None:
        for _ in range(1500):
            np.multiply(small, small, out=scratch)
            np.add(scratch, small, out=scratch)
            np.sqrt(scratch, out=scratch)

    def memory() -> None:
        for _ in range(2):
            large.sum()

    scratch = np.empty_like(small)
    told = {}
    for name, work in (("arithmetic", arithmetic), ("memory", memory)):
        told[name], told[f"{name}_cpu"] = _best(work)
    return told


def _best(work: Callable[[], None], repeats: int = 5) -> tuple[float, float]:
    wall, cpu = [], []
    for _ in range(repeats):
        started, thread = time.perf_counter(), time.thread_time()
        work()
        wall.append(time.perf_counter() - started)
        cpu.append(time.thread_time() - thread)
    return min(wall), min(cpu)


def _temperature() -> float | None:
    with contextlib.suppress(Exception):  # only Linux has it, and not every Linux
        sensors: dict[str, list[Any]] = psutil.sensors_temperatures()
        found = [entry.current for entries in sensors.values() for entry in entries if entry.current]
        return max(found) if found else None
    return None


def _macos_power() -> dict[str, Any]:
    told: dict[str, Any] = {}
    if match := re.search(r"lowpowermode\s+(\d)", answer(["pmset", "-g"])):
        told["low_power"] = match[1] == "1"
    if match := re.search(r"CPU_Speed_Limit\s*=\s*(\d+)", answer(["pmset", "-g", "therm"])):
        told["speed_limit"] = int(match[1])
    return told


def _existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())
