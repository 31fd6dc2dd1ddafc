"""A cache that starts as the plainest one, and becomes another where that was measured to be faster.

Axes: b batch, k key heads, l new positions, s positions held, d width, e value width.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from os import PathLike
from pathlib import Path

import torch
from torch import Tensor

from attention.caches import ConcatKVCache, GrowingKVCache, KVCache, StaticKVCache
from attention.clock import device_clock
from attention.errors import ShapeError, Unsupported
from attention.paging import PagedKVCache

#: Lengths at which caches are compared, unless others are asked for.
LENGTHS = (1, 16, 32, 64, 128, 256, 512, 1024, 2048)
#: Steps that are timed as one, so that reading the clock does not count.
STEPS = 16


@dataclass(frozen=True, slots=True)
class Crossover:
    """From how many positions on a decode step takes no longer with K and V written in place than concatenated.

    None: it took longer at the longest length measured.
    """

    static: int | None
    growing: int | None
    source: str  #: where the numbers come from: device, sizes

    def save(self, path: str | PathLike[str]) -> None:
        """Write it as JSON, for the next process on this device."""
        Path(path).write_text(json.dumps(asdict(self)) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | PathLike[str]) -> "Crossover":
        """Read what `save` wrote. Raises: ShapeError for anything else."""
        try:
            found = json.loads(Path(path).read_text(encoding="utf-8"))
            return cls(_positions(found["static"]), _positions(found["growing"]), str(found["source"]))
        except (ValueError, KeyError, TypeError) as error:
            raise ShapeError(f"Crossover: {path} is not what save writes ({error!r})") from error


#: What `measure_crossover` found, by type of device.
CROSSOVERS: Mapping[str, Crossover] = {
    "cpu": Crossover(
        static=1,
        growing=1,
        source="2-core x86-64, torch 2.13.0, one thread, 8 query heads, 8, 2 and 1 key heads of 64, batch 1, float32, "
        "lengths 1 to 1024, best of 60 rounds: in place took 0.8 to 1.0 of the time up to 64 positions, "
        "0.2 to 0.5 at 1024",
    )
}
#: What concatenating saves at most is two views a step, what it costs grows without a bound.
UNMEASURED = Crossover(1, 1, "not measured on this type of device: in place from the first position on")


class AdaptiveKVCache:
    """Concatenates while a sequence is short, writes in place from the crossover on, and moves once, with all it holds.

    With a limit it becomes a StaticKVCache, without one (`max_length=None`) a GrowingKVCache. Sequences with a limit
    each, or that are forked from each other (`sharing`), are in a PagedKVCache at once: no other cache can hold them.
    After `truncate` and `reset` it stays what it has become.

    Memory: as the cache that it is; while it moves, as both. Cost: as the cache that it is, and the move.
    Raises: CacheFull beyond max_length; ShapeError for sizes that do not fit; Unsupported for sharing without a limit.
    Source: seed 003's adaptive selection, which switched at 2048 positions, unmeasured.
    """

    def __init__(
        self,
        batch: int,
        kv_heads: int,
        max_length: int | Sequence[int] | None,
        key_dim: int,
        value_dim: int | None = None,
        *,
        sharing: bool = False,
        crossover: Crossover | None = None,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        if isinstance(max_length, int) and max_length < 1:
            raise ShapeError(f"AdaptiveKVCache: max_length={max_length}, wanted >= 1")
        self._next: Callable[[], KVCache] | None = None
        self._inner: KVCache
        if sharing or not (max_length is None or isinstance(max_length, int)):
            if max_length is None:
                raise Unsupported("sequences share pages in an arena of a given size: sharing without a max_length")
            self._inner = PagedKVCache(batch, kv_heads, max_length, key_dim, value_dim, dtype=dtype, device=device)
            return
        static = partial(StaticKVCache, batch, kv_heads, dtype=dtype, device=device)
        if crossover is None:
            crossover = CROSSOVERS.get(torch.device(device).type, UNMEASURED)
        if max_length is None:
            self._next, self._at = GrowingKVCache, _or_never(crossover.growing)
        else:
            self._next = partial(static, max_length, key_dim, value_dim)
            # Beyond the limit it is a StaticKVCache in any case, which refuses.
            self._at = min(_or_never(crossover.static), max_length + 1)
        self._inner = ConcatKVCache()
        # An empty K and V say what is to come, so that the first append is checked like any other.
        self._inner.append(*static(1, key_dim, value_dim).gather())

    @property
    def inner(self) -> KVCache:
        """The cache that holds the sequence now."""
        return self._inner

    @property
    def seq_len(self) -> int:
        return self._inner.seq_len

    @property
    def nbytes(self) -> int:
        return self._inner.nbytes

    def append(self, k: Tensor, v: Tensor) -> None:
        if self._next is not None and self.seq_len + (k.shape[2] if k.dim() == 4 else 0) >= self._at:
            moved, self._next = self._next(), None
            moved.append(*self._inner.gather())
            self._inner = moved
        self._inner.append(k, v)

    def attend(self, q: Tensor, *, scale: float | None = None) -> Tensor:
        return self._inner.attend(q, scale=scale)

    def gather(self) -> tuple[Tensor, Tensor]:
        return self._inner.gather()

    def truncate(self, seq_len: int) -> None:
        self._inner.truncate(seq_len)

    def reset(self) -> None:
        self._inner.reset()


def measure_crossover(
    query_heads: int,
    kv_heads: int,
    key_dim: int,
    *,
    batch: int = 1,
    lengths: Iterable[int] = LENGTHS,
    rounds: int = 7,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> Crossover:
    """Time a decode step (append a position, attend) of each cache at each length, in turns; the best of each counts.

    A GrowingKVCache's growth is not among the steps: it is one copy in `step` of them. On one CPU thread the time is
    the thread's own, elsewhere the wall's, when the device has finished.

    Memory: three caches of the longest length. Raises: ShapeError for sizes below 1.
    """
    at = sorted(lengths)
    if not at or min(query_heads, kv_heads, key_dim, batch, rounds, at[0]) < 1:
        met = f"query_heads={query_heads}, kv_heads={kv_heads}, key_dim={key_dim}, batch={batch}"
        raise ShapeError(f"measure_crossover: met {met}, lengths={at}, rounds={rounds}, wanted >= 1")
    clock = device_clock(torch.device(device))
    q = torch.randn(batch, query_heads, 1, key_dim, dtype=dtype, device=device)
    new = torch.randn(batch, kv_heads, 1, key_dim, dtype=dtype, device=device)
    seconds = []
    for length in at:
        static = StaticKVCache(batch, kv_heads, length + STEPS, key_dim, dtype=dtype, device=device)
        prompt = new.expand(-1, -1, length, -1).contiguous()
        caches: dict[str, KVCache] = {"concat": ConcatKVCache(), "static": static, "growing": GrowingKVCache()}
        for cache in caches.values():
            cache.append(prompt, prompt)
        seconds.append(_best(caches, q, new, rounds, clock))
    sizes = f"{query_heads} query heads, {kv_heads} key heads of {key_dim}, batch {batch}, {dtype}"
    source = f"{torch.device(device).type}, torch {torch.__version__}, {sizes}, at lengths {at}"
    static_at, growing_at = (_crossover(at, seconds, name) for name in ("static", "growing"))
    return Crossover(static_at, growing_at, source)


def _best(
    caches: Mapping[str, KVCache], q: Tensor, new: Tensor, rounds: int, clock: Callable[[], float]
) -> dict[str, float]:
    """Seconds of a step, by cache."""
    best = dict.fromkeys(caches, math.inf)
    for _ in range(rounds):
        for name, cache in caches.items():
            held = cache.seq_len
            started = clock()
            for _ in range(STEPS):
                cache.append(new, new)
                cache.attend(q)
            best[name] = min(best[name], (clock() - started) / STEPS)
            cache.truncate(held)
    return best


def _crossover(lengths: Sequence[int], seconds: Sequence[Mapping[str, float]], name: str) -> int | None:
    """The least length from which on the cache is nowhere slower than concatenating."""
    found = None
    for length, best in zip(reversed(lengths), reversed(seconds), strict=True):
        if best[name] > best["concat"]:
            break
        found = length
    return found


def _positions(found: object) -> int | None:
    if found is not None and (not isinstance(found, int) or found < 0):
        raise ValueError(f"{found!r} positions")
    return found


def _or_never(positions: int | None) -> float:
    return math.inf if positions is None else positions
