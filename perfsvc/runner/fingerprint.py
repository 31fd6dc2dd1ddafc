"""The fingerprint: what was found in the environment that measures. A moved fingerprint is a moved environment.

Only what stays between two runs belongs here; load, heat and power are readings (machine.py). No paths: an environment
that moved to another folder is the same environment.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from perfsvc.errors import RunnerError
from perfsvc.model import Device

PROBE = Path(__file__).with_name("probe.py")
PROBE_TIMEOUT = 120.0
#: Variables by these first letters change how allocator, threads and kernels behave.
TELLING = (
    *("MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD", "DYLD_INSERT", "JEMALLOC", "PYTHONMALLOC", "PYTHONHASHSEED"),
    *("OMP_", "MKL_", "KMP_", "OPENBLAS_", "GOMP_", "ONEDNN_", "DNNL_", "VECLIB_"),
    *("PYTORCH_", "TORCH_", "ATEN_", "CUDA_", "CUBLAS_"),
)
CPU_FILES = {
    "governor": "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
    "driver": "/sys/devices/system/cpu/cpu0/cpufreq/scaling_driver",
    "maximum": "/sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq",
    "no_turbo": "/sys/devices/system/cpu/intel_pstate/no_turbo",
    "boost": "/sys/devices/system/cpu/cpufreq/boost",
    "smt": "/sys/devices/system/cpu/smt/control",
    "huge_pages": "/sys/kernel/mm/transparent_hugepage/enabled",
    "quota": "/sys/fs/cgroup/cpu.max",
}
GPU_QUERY = "name,driver_version,vbios_version,power.limit,clocks.max.sm,persistence_mode,mig.mode.current"


def fingerprint(python: Path, variables: Mapping[str, str], device: Device = Device.CPU) -> dict[str, Any]:
    """What a benchmark started with `python` and exactly `variables` as its environment will find around itself.

    Raises: RunnerError when that python cannot be started.
    """
    return {
        **_found_inside(python, variables),
        "os": operating_system(),
        "cpu": processor(),
        "clock": {name: text for name, path in CPU_FILES.items() if (text := read_text(path)) is not None},
        "variables": {name: variables[name] for name in sorted(variables) if name.startswith(TELLING)},
        "gpu": nvidia_gpus(GPU_QUERY) if device is Device.CUDA else [],  # its driver is none of the CPU's business
    }


def operating_system() -> dict[str, str]:
    told = {"system": platform.system(), "release": platform.release(), "build": platform.version()}
    if platform.system() == "Darwin":
        told["macos"] = platform.mac_ver()[0]
    with contextlib.suppress(OSError):
        distribution = platform.freedesktop_os_release()
        told["distribution"] = f"{distribution.get('ID', '')} {distribution.get('VERSION_ID', '')}".strip()
    if libc := " ".join(platform.libc_ver()).strip():
        told["libc"] = libc
    return told


def processor() -> dict[str, Any]:
    """`usable`: of the logical ones, those this process may run on."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    physical = psutil.cpu_count(logical=False)
    return {"model": cpu_model(), "logical": os.cpu_count(), "physical": physical, "usable": usable}


def cpu_model() -> str:
    """The processor's name as the system tells it; "" where it tells none."""
    for line in (read_text("/proc/cpuinfo") or "").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    if platform.system() == "Darwin":
        return answer(["sysctl", "-n", "machdep.cpu.brand_string"]).strip()
    return platform.processor()


def nvidia_gpus(query: str) -> list[dict[str, str]]:
    """One row per NVIDIA GPU with the fields of `query`; none where there is no driver to ask."""
    names = query.split(",")
    told = answer(["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader,nounits"])
    rows = (line.split(", ") for line in told.splitlines())
    return [dict(zip(names, row, strict=True)) for row in rows if len(row) == len(names)]


def answer(command: list[str], timeout: float = 10.0) -> str:
    """What a small program prints; "" where it is not installed, fails, or does not answer in time."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def read_text(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def _found_inside(python: Path, variables: Mapping[str, str]) -> dict[str, Any]:
    """`-I`: neither the current folder nor PYTHONPATH, so that the tree under measurement is not in the list."""
    command = [str(python), "-I", str(PROBE)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PROBE_TIMEOUT, check=False, env=dict(variables)
        )
    except OSError as error:
        raise RunnerError(f"{python}: cannot be started: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise RunnerError(f"{python}: did not describe itself within {PROBE_TIMEOUT:.0f} s") from None
    try:
        found = json.loads(done.stdout)
    except ValueError:
        said = done.stderr[-500:]
        raise RunnerError(f"{python}: exit code {done.returncode}, wanted a description of itself: {said}") from None
    assert isinstance(found, dict)
    return found
