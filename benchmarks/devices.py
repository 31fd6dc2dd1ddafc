"""Where a benchmark runs, the clock that waits for it, and what a benchmark process tells about itself.

PERFSVC_DEVICE   cpu (default), mps or cuda
PERFSVC_FACTS    a file: each benchmark process appends one JSON line to it
PERFSVC_EXPECT   a folder: attention must come from inside it, else the wrong tree would be measured
PERFSVC_SPENT    a file: seconds of warming up and sampling, a line each (tools/bench_suites.py adds them up)

Nothing here touches an accelerator or starts a thread at import: asv may fork after it.
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import torch

DEVICES = ("cpu", "mps", "cuda")
QUEUED = 20  #: calls between two events
HEAD_START = 20_000_000  #: cycles: some 10 ms, in which the host queues that many calls of any body


class WrongTree(RuntimeError):
    """Another copy of attention than the commit under measurement was imported."""


def device() -> str:
    """The device under measurement. Raises: ValueError when PERFSVC_DEVICE names none."""
    name = os.environ.get("PERFSVC_DEVICE", "cpu")
    if name not in DEVICES:
        raise ValueError(f"PERFSVC_DEVICE={name!r}, wanted one of {', '.join(DEVICES)}")
    return name


def prepare() -> str:
    """Make the device ready, once a process: the CPU gets one thread. Skips the case where the device is absent."""
    name = device()
    if name == "cpu":
        torch.set_num_threads(1)
    elif name == "mps" and not torch.backends.mps.is_available():
        skip("this machine has no MPS device")
    elif name == "cuda" and not torch.cuda.is_available():
        skip("this machine has no CUDA device")
    return name


def clock() -> float:
    """Seconds, read when the device has finished what was asked of it.

    On the CPU these are seconds of this thread, which does all the work: waiting for a busy machine does not count.
    asv reads it before and after a sample's calls, so the queue of a device is drained once a sample, not once a call.
    """
    name = device()
    if name == "cpu":
        return time.thread_time()
    if name == "cuda":
        torch.cuda.synchronize()
    else:
        torch.mps.synchronize()
    return time.perf_counter()


def device_seconds(body: Callable[[], object]) -> float:
    """Seconds of a CUDA device for a call, between two events of its queue. Unproven: no CUDA device has run it."""
    started, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    # All calls are queued while the device sleeps, so that it never waits for the host.
    torch.cuda._sleep(HEAD_START)  # type: ignore[no-untyped-call]
    started.record()
    for _ in range(QUEUED):
        body()
    ended.record()
    ended.synchronize()
    return float(started.elapsed_time(ended)) / 1e3 / QUEUED


def measured() -> ModuleType:
    """Import the attention of the commit under measurement. Raises: WrongTree when it lies outside PERFSVC_EXPECT."""
    attention = import_module("attention")
    expected = os.environ.get("PERFSVC_EXPECT")
    found = Path(str(attention.__file__)).resolve()
    if expected and not found.is_relative_to(Path(expected).resolve()):
        raise WrongTree(f"measured the wrong tree: attention comes from {found}, expected inside {expected}")
    return attention


def variant(kind: str, name: str) -> Callable[..., Any]:
    """Look a variant up in the measured commit's registry; skips the case if it is not there or not for this device."""
    attention = measured()
    if not hasattr(attention, "variants"):
        skip("this commit has no registry of variants")
    found = {v.name: v for v in attention.variants(kind)}.get(name)
    if found is None:
        skip(f"this commit has no {kind} variant {name!r}")
    reasons = attention.unsupported(found, attention.Case(device=device()))
    if reasons:
        skip("; ".join(reasons))
    build: Callable[..., Any] = found.build
    return build


def member(name: str) -> Any:
    """Take a public name from the measured commit; skips the case where it has none."""
    attention = measured()
    if not hasattr(attention, name):
        skip(f"this commit has no {name}")
    return getattr(attention, name)


def submodule(name: str) -> ModuleType:
    """Take a module of the measured commit; skips the case where it has none."""
    whole = f"{measured().__name__}.{name}"
    try:
        return import_module(whole)
    except ModuleNotFoundError as error:
        if error.name != whole:
            raise
        skip(f"this commit has no {whole}")


def skip(reason: str) -> NoReturn:
    """Leave the case out, with its reason on stderr: asv stores NaN.

    asv takes only its own exception for a skip in a body; any other NotImplementedError is a failure to it.
    """
    try:
        from asv_runner.benchmarks.mark import SkipNotImplemented
    except ImportError:
        raise NotImplementedError(reason) from None
    raise SkipNotImplemented(reason)


def facts_wanted() -> bool:
    """Whether somebody reads this process's facts."""
    return bool(os.environ.get("PERFSVC_FACTS"))


def tell(benchmark: str, params: tuple[object, ...], facts: Mapping[str, object]) -> None:
    """Append this process's facts to the file that PERFSVC_FACTS names; params as asv writes them."""
    line = json.dumps({"benchmark": benchmark, "params": [repr(p) for p in params], **facts})
    _append(os.environ.get("PERFSVC_FACTS"), f"{line}\n")


@contextmanager
def measuring() -> Iterator[None]:
    """What is done inside is warming up or sampling."""
    started = time.perf_counter()
    yield
    _append(os.environ.get("PERFSVC_SPENT"), f"{time.perf_counter() - started}\n")


def _append(file: str | None, line: str) -> None:
    """One write in append mode: lines of two processes do not mix."""
    if file:
        with Path(file).open("a", encoding="utf-8") as out:
            out.write(line)


def state() -> dict[str, object]:
    """What of the device bears on the number: threads, clock, allocator settings, the accelerator's name and memory."""
    name = device()
    found: dict[str, object] = {
        "device": name,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "clock": "thread" if name == "cpu" else "wall, synchronised",
        "malloc": {key: value for key, value in sorted(os.environ.items()) if key.startswith("MALLOC_")},
    }
    if name == "cuda":
        properties = torch.cuda.get_device_properties(torch.cuda.current_device())
        found |= {"name": properties.name, "allocated": torch.cuda.memory_allocated()}
        found |= {"tf32": torch.backends.cuda.matmul.allow_tf32, "clock_mhz": _clock_mhz()}
    elif name == "mps":
        found["allocated"] = torch.mps.driver_allocated_memory()
    return found


def _clock_mhz() -> int | None:
    """The accelerator's clock at this moment, where the driver's library tells it."""
    try:
        return torch.cuda.clock_rate()
    except (ModuleNotFoundError, RuntimeError):
        return None
