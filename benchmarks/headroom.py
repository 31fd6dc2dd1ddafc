"""How much memory a case may take: what the machine has free. A case that wants more is refused, not killed.

Linux hands out more than there is and kills who uses it; a limit makes the allocator say no instead. An accelerator's
allocator says so by itself; CUDA reserves addresses far beyond its memory, which such a limit would count.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from benchmarks import devices

MEMINFO = Path("/proc/meminfo")
STATUS = Path("/proc/self/status")
CGROUP = Path("/sys/fs/cgroup")
#: How PyTorch's allocators of the CPU and of MPS say that there is none; CUDA's raises an error of its own.
REFUSALS = ("can't allocate memory", "not enough memory", "out of memory")


@contextmanager
def limited() -> Iterator[None]:
    """Inside, this process gets no more than what is free now: beyond, allocating fails. On a CPU under Linux only."""
    free = free_bytes() if devices.device() == "cpu" else None
    if free is None:
        yield
        return
    import resource

    before = resource.getrlimit(resource.RLIMIT_DATA)
    ceilings = (limit for limit in before if limit != resource.RLIM_INFINITY)
    resource.setrlimit(resource.RLIMIT_DATA, (min([_kibibytes(STATUS, "VmData") + free, *ceilings]), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def refused(error: BaseException) -> bool:
    """Whether an error says that memory ran out."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in REFUSALS)


def free_bytes() -> int | None:
    """What Linux could hand out without taking it from others, or this container may still take; None elsewhere."""
    if sys.platform != "linux":
        return None
    return min([_kibibytes(MEMINFO, "MemAvailable"), *_container()])


def _container() -> Iterator[int]:
    most, used = CGROUP / "memory.max", CGROUP / "memory.current"
    if most.is_file() and used.is_file() and (limit := most.read_text().strip()) != "max":
        yield max(0, int(limit) - int(used.read_text()))


def _kibibytes(file: Path, key: str) -> int:
    """A value of a file of Linux's, in bytes."""
    (value,) = (line.split()[1] for line in file.read_text().splitlines() if line.startswith(f"{key}:"))
    return 1024 * int(value)
