"""What happens while a body runs once: operators dispatched, what SDPA took, bytes handed out, kernels launched."""

import gc
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import torch
import torch.nn.functional as F
from torch.autograd import DeviceType  # type: ignore[attr-defined]
from torch.autograd.profiler import profile
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

#: A part of the operator's name that SDPA ends in, and the backend's name; with none of them it took the formula.
BACKENDS = {
    "flash_attention": "flash",
    "efficient_attention": "efficient",
    "cudnn_attention": "cudnn",
    "attention_math_for_mps": "mps",
    "overrideable": "overrideable",
}
#: Backends as a number: a sum says that a body took several, 0 that SDPA was not called.
BACKEND_NUMBERS = {"math": 1, "flash": 2, "efficient": 4, "cudnn": 8, "mps": 16, "overrideable": 32}
#: Operators that make a second copy of what is there.
COPYING = {"cat", "clone", "copy_", "_to_copy", "expand_copy", "gather", "index", "index_select", "repeat", "stack"}
#: The operator by which a number of a tensor is read on the host.
READING = "_local_scalar_dense"


@dataclass(frozen=True, slots=True)
class Operators:
    """Operators dispatched to a backend, by name, and what scaled_dot_product_attention took: empty if not called."""

    counts: dict[str, int]
    backend: str
    moves: int  #: operators whose result lies on another device than what they are given

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def copies(self) -> int:
        return sum(count for name, count in self.counts.items() if name.partition("::")[2] in COPYING)

    @property
    def transfers(self) -> int:
        """Numbers read on the host, and tensors moved between devices."""
        return self.counts.get(f"aten::{READING}", 0) + self.moves

    @property
    def backend_number(self) -> int:
        """By BACKEND_NUMBERS."""
        return sum(BACKEND_NUMBERS[name] for name in self.backend.split(",") if name)


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes handed out in all, and the most that was in use at once, above what was in use before."""

    allocated: int
    peak: int


def operators(run: Callable[[], object]) -> Operators:
    """Run once and count. Exact: the same from run to run for the same code, torch and shapes."""
    with _Calls() as calls, _Dispatched() as dispatched:
        run()
    counts = dict(sorted(dispatched.counts.items()))
    taken = [name for part, name in BACKENDS.items() if any(part in op for op in counts)]
    backend = ",".join(taken) if taken else "math" if calls.sdpa else ""
    return Operators(counts, backend, dispatched.moves)


def graph_breaks(run: Callable[[], object]) -> int:
    """How often torch.compile would hand back to Python: 0 = one graph. Exact, and a second of imports the first time.

    Dynamo traces a run without compiling it; where it breaks within what it inlined it starts anew, so that the number
    of graphs says less than the reasons it gives.
    """
    import torch._dynamo

    torch._dynamo.reset()
    return len(torch._dynamo.explain(run)().break_reasons)


def kernels(run: Callable[[], object]) -> int:
    """Run once under CUDA's profiler and count the kernels that were launched, without what only moves or sets bytes.

    Unproven: from PyTorch's documentation; no CUDA device has run it.
    """
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as profiled

    torch.cuda.synchronize()
    with profiled(activities=[ProfilerActivity.CUDA]) as recording:
        run()
        torch.cuda.synchronize()
    return sum(launched(event.device_type, event.name) for event in recording.events() or ())


def launched(device: object, name: str) -> bool:
    """Whether an event of the profiler is a kernel on the device."""
    return device == DeviceType.CUDA and not name.startswith(("Memcpy", "Memset"))


def cpu_memory(run: Callable[[], object]) -> Memory:
    """Run once under the profiler. Exact: every allocation is an event, whatever the C library does with it."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler greets on stderr, twice a run
    gc.disable()  # a collection half-way would free what the body itself still counts
    try:
        # torch.profiler would do, and import the compiler: a second a process.
        with profile(profile_memory=True) as recording:
            run()
    finally:
        gc.enable()
    results = recording.kineto_results
    assert results is not None
    in_use: dict[int, int] = {}
    allocated = held = peak = 0
    for address, size in _blocks(results.experimental_event_tree()):
        if size > 0:
            in_use[address] = size
            allocated += size
        # What is freed without having been handed out here (a gradient of the last step) was there before.
        held += size if size > 0 else -in_use.pop(address, 0)
        peak = max(peak, held)
    return Memory(allocated, peak)


def _blocks(events: Iterable[Any]) -> Iterator[tuple[int, int]]:
    """Address and size of each block handed out, and with a negative size given back, in the order of time."""
    for event in sorted(events, key=attrgetter("start_time_ns")):
        if event.name == "[memory]":
            yield event.extra_fields.ptr, event.extra_fields.alloc_size
        yield from _blocks(event.children)


def cuda_memory(run: Callable[[], object]) -> Memory:
    """Run once between two readings of the caching allocator's own counters."""
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_stats()
    run()
    torch.cuda.synchronize()
    after = torch.cuda.memory_stats()
    handed_out = "allocated_bytes.all.allocated"
    peak = after["allocated_bytes.all.peak"] - before["allocated_bytes.all.current"]
    return Memory(after[handed_out] - before[handed_out], peak)


class _Dispatched(TorchDispatchMode):  # type: ignore[no-untyped-call]
    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled here; guarding against it would import the compiler, a second a process

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.counts: Counter[str] = Counter()
        self.moves = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.counts[f"{func.namespace}::{func._opname}"] += 1
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            # A tensor without axes may stay on the host: it travels with the launch, like a number.
            given = {t.device.type for t in args if isinstance(t, torch.Tensor) and t.dim()}
            self.moves += bool(given) and given != {result.device.type}
        return result


class _Calls(TorchFunctionMode):
    def __init__(self) -> None:
        super().__init__()
        self.sdpa = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.sdpa |= func is F.scaled_dot_product_attention
        return func(*args, **(kwargs or {}))
