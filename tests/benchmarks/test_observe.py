"""What is counted while a body runs: seen on bodies small enough to count by hand."""

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import DeviceType

from benchmarks import devices, observe

X = torch.ones(4, 4)


def test_copies_are_counted_and_views_are_not() -> None:
    assert observe.operators(lambda: X.t().view(4, 4)).copies == 0
    assert observe.operators(lambda: (X.t().contiguous(), torch.cat([X, X]))).copies == 2


def test_a_number_that_is_read_is_a_transfer() -> None:
    assert observe.operators(lambda: X.sum()).transfers == 0
    assert observe.operators(lambda: X.sum().item()).transfers == 1
    assert observe.operators(lambda: float(X[0, 0]) + bool(X.sum() > 1)).transfers == 2


def test_a_tensor_that_changes_its_device_is_a_transfer() -> None:
    assert observe.operators(lambda: X.to("meta")).transfers == 1
    assert observe.operators(lambda: torch.empty(4, 4, device="meta") + 1).transfers == 0


def test_backends_have_numbers_and_a_sum_says_several() -> None:
    q = torch.randn(1, 1, 4, 8)
    fused = observe.operators(lambda: F.scaled_dot_product_attention(q, q, q))
    assert (fused.backend, fused.backend_number) == ("flash", 2)
    assert observe.operators(lambda: q + q).backend_number == 0
    assert observe.Operators({}, "flash,efficient", 0).backend_number == 6


def test_graph_breaks_are_counted() -> None:
    def broken() -> torch.Tensor:
        total = X.sum()
        torch._dynamo.graph_break()
        return total + 1

    assert observe.graph_breaks(lambda: X + 1) == 0
    assert observe.graph_breaks(broken) == 1


@pytest.mark.parametrize(
    ("device", "name", "counts"),
    [
        (DeviceType.CUDA, "void gemm_kernel<float>", True),
        (DeviceType.CUDA, "Memcpy DtoD (Device -> Device)", False),
        (DeviceType.CUDA, "Memset (Device)", False),
        (DeviceType.CPU, "aten::mm", False),
    ],
)
def test_a_kernel_is_what_computes_on_the_device(device, name, counts) -> None:
    assert observe.launched(device, name) == counts


def test_device_time_is_between_two_events_behind_a_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a device of paper: each call takes it 40 us, which only the events see."""
    done: list[str] = []
    now = [0.0]

    class Event:
        def __init__(self, *, enable_timing: bool) -> None:
            assert enable_timing

        def record(self) -> None:
            done.append("record")
            self.at = now[0]

        def synchronize(self) -> None:
            done.append("wait")

        def elapsed_time(self, other: "Event") -> float:
            return 1e3 * (other.at - self.at)

    monkeypatch.setattr(torch, "cuda", SimpleNamespace(Event=Event, _sleep=lambda cycles: done.append("sleep")))

    def body() -> None:
        done.append("call")
        now[0] += 40e-6

    assert devices.device_seconds(body) == pytest.approx(40e-6)
    assert done == ["sleep", "record", *["call"] * devices.QUEUED, "record", "wait"]


def test_a_clock_of_an_accelerator_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[str] = []
    for name in ("cuda", "mps"):
        monkeypatch.setenv("PERFSVC_DEVICE", name)
        monkeypatch.setattr(f"torch.{name}.synchronize", lambda name=name: waited.append(name))
        assert devices.clock() <= devices.clock()
    assert waited == ["cuda", "cuda", "mps", "mps"]
