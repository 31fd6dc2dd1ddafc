"""The best of many calls, on a clock that the test turns."""

import itertools
from collections.abc import Iterable

import pytest

from benchmarks import best, devices


class Machine:
    """Each call of `body` takes the next of the given times."""

    def __init__(self, times: Iterable[float], monkeypatch: pytest.MonkeyPatch) -> None:
        self.times, self.now, self.calls = iter(times), 0.0, 0
        monkeypatch.setattr(devices, "clock", lambda: self.now)
        monkeypatch.setattr(best, "perf_counter", lambda: self.now)

    def body(self) -> None:
        self.now += next(self.times)
        self.calls += 1


def test_disturbed_calls_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    quiet, disturbed = 0.002, (0.003, 0.0025, 0.009)
    machine = Machine(itertools.cycle((*disturbed, quiet)), monkeypatch)
    assert best.seconds(machine.body) == pytest.approx(quiet)
    assert machine.calls == 5 * 4  # five at the floor are wanted


def test_a_floor_that_never_comes_is_waited_for_no_longer_than_patience_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine((0.010 * 0.97**number for number in itertools.count()), monkeypatch)
    found = best.seconds(machine.body)
    assert machine.now == pytest.approx(best.PATIENCE, abs=0.01)
    assert found == pytest.approx(0.010 * 0.97 ** (machine.calls - 1))


def test_a_short_body_is_called_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(itertools.repeat(0.00001), monkeypatch)
    assert best.seconds(machine.body) == pytest.approx(0.00001)
    assert machine.calls == 1 + 4 * 100


def test_a_long_body_is_called_once(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(itertools.repeat(2.0), monkeypatch)
    assert best.seconds(machine.body) == pytest.approx(2.0)
    assert machine.calls == 1


def test_asvs_clock_moves_on_by_the_best_call_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(itertools.cycle((0.004, 0.002)), monkeypatch)
    before = best.clock()
    best.call(machine.body)
    assert best.clock() - before == pytest.approx(0.002)
