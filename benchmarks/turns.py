"""Bodies timed in turns inside one process, after what they return was compared: so drift and mistakes do not count.

Used by the commands for people, `ratios` and `peers`. asv's benchmarks take a process each.
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from benchmarks import best, devices
from benchmarks.bodies import BUILDERS, Body

CONFIGURATION = Path(__file__).parents[1] / "asv.conf.json"


class ResultsDiffer(RuntimeError):
    """Forms of one thing do not agree, so that their times cannot be compared."""


def in_turns(bodies: Mapping[str, Body], *, rounds: int) -> dict[str, list[float]]:
    """Seconds of each body's best call, `rounds` times, forwards and backwards."""
    times: dict[str, list[float]] = {name: [] for name in bodies}
    for turn in range(rounds):
        for name in list(bodies) if turn % 2 == 0 else reversed(list(bodies)):
            times[name].append(best.seconds(bodies[name]))
    return times


def seeded(kind: str, variant: str, name: object) -> Body:
    """Build a benchmark's body: from one seed, so that all variants get the same weights and inputs."""
    torch.manual_seed(0)
    return BUILDERS[kind](variant, name)


def faster(body: Body, than: Body, *, rounds: int = 9, alike: bool = True) -> float:
    """How many times as fast `body` is, by the best calls. Raises: ResultsDiffer when what they return differs."""
    bodies = {"the one": body, "the other": than}
    if alike:
        check_alike({name: run() for name, run in bodies.items()})
    quick, slow = in_turns(bodies, rounds=rounds).values()
    return min(slow) / min(quick)


def check_alike(results: Mapping[str, object]) -> None:
    """Hold each result to the first. Raises: ResultsDiffer, with the names.

    Tolerances are torch.testing's own for the dtype. Inputs are of unit scale: there float32's (1e-5) is ten times what
    two orders of summation differ by, and a lost mask or a wrong scale is a thousand times more.
    """
    (first, wanted), *others = results.items()
    if not list(_tensors(wanted)):
        raise ResultsDiffer(f"{first} returns no tensor to compare")
    for name, result in others:
        try:
            torch.testing.assert_close(list(_tensors(result)), list(_tensors(wanted)))
        except AssertionError as difference:
            raise ResultsDiffer(f"{name} differs from {first}: {difference}") from None


def _tensors(result: object) -> Iterator[Tensor]:
    if isinstance(result, Tensor):
        yield result.detach()
    elif isinstance(result, (tuple, list)):
        for part in result:
            yield from _tensors(part)


def settings() -> str:
    """What bears on the numbers, and what of asv.conf.json's environment is not in force."""
    state = devices.state()
    told = f"{state['device']}, torch {state['torch']}, {state['threads']} threads, {state['clock']} clock"
    matrix = json.loads(CONFIGURATION.read_text(encoding="utf-8"))["matrix"]["env_nobuild"]
    wanted = {name: values[0] for name, values in matrix.items()}
    met = [f"{name}={os.environ[name]}" for name in wanted if name in os.environ]
    lines = [f"On {', '.join([told, *met])}."]
    if any(os.environ.get(name) != value for name, value in wanted.items()):
        whole = " ".join(f"{name}={value}" for name, value in wanted.items())
        lines.append(f"Not asv's environment, so the allocator's part may differ; that is: env {whole}")
    return "\n".join(lines)
