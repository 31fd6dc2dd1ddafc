"""Where the library stands beside its peers: equal weights and inputs, one process, in turns.

    python -m benchmarks.peers               # every cell
    python -m benchmarks.peers decode 4096   # the cells that have each of the words

Peers are torch's nn.MultiheadAttention, torch's compiled flex_attention (which wants a C++ compiler), and transformers'
caches with its sdpa attention (pip install -e '.[peers]'). Before a cell is timed, every result in it is held to one in
float64: a wrong one is an error, not a row. A peer that is not here is told, and the other cells go on.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch

from benchmarks import devices, hands
from benchmarks.hands import Hands, Missing
from benchmarks.turns import ResultsDiffer, in_turns, settings


@dataclass(frozen=True, slots=True)
class Cell:
    """A piece of work in one size; `ours` is what of this library does it."""

    work: str
    sizes: str
    ours: str
    build: Callable[[], Hands]

    def __str__(self) -> str:
        return f"{self.work}, {self.sizes}"


@dataclass(frozen=True, slots=True)
class Row:
    """The best calls of ours and of one peer."""

    cell: Cell
    peer: str
    ours_seconds: float
    peer_seconds: float

    @property
    def speedup(self) -> float:
        """2.0 = half the peer's time."""
        return self.peer_seconds / self.ours_seconds


def cells() -> Iterator[Cell]:
    """Every cell."""
    for batch, length, width, heads in ((8, 64, 256, 4), (1, 512, 512, 8), (1, 2048, 512, 8)):
        sizes = f"B{batch} L{length} C{width} H{heads}"
        build = partial(hands.self_attention, batch, length, width, heads)
        yield Cell("self attention", sizes, "MultiHeadAttention", partial(build, causal=False))
        yield Cell("causal self attention", sizes, "MultiHeadAttention", partial(build, causal=True))
    for heads, kv_heads, width, held in ((8, 8, 64, 1024), (8, 2, 64, 1024), (8, 2, 64, 4096), (32, 8, 128, 4096)):
        sizes = f"Hq{heads} Hkv{kv_heads} D{width}, {held} held"
        yield Cell("decode step", sizes, "StaticKVCache", partial(hands.decode_step, heads, kv_heads, width, held))
    for length, window in ((1024, 128), (4096, 256)):
        sizes = f"H8 D64 L{length}, window {window}"
        yield Cell("local attention", sizes, "local_attention", partial(hands.local_attention, length, window))


def compare(cell: Cell, *, rounds: int) -> list[Row]:
    """Check every result of a cell, then time it. Raises: Missing, ResultsDiffer."""
    torch.manual_seed(0)
    several = cell.build()
    check(several)
    ours, *others = in_turns({"": several.ours, **several.peers}, rounds=rounds).values()
    return [Row(cell, peer, min(ours), min(theirs)) for peer, theirs in zip(several.peers, others, strict=True)]


def check(several: Hands) -> None:
    """Raises: ResultsDiffer when a result is further from float64 than twice plain torch and one rounding."""
    exact, plain = several.exact(), several.plain()
    rounding = torch.finfo(plain.dtype).eps * max(1.0, exact.abs().max().item())
    allowed = 2 * (plain.cpu().double() - exact).abs().max().item() + rounding
    for name, hand in {"ours": several.ours, **several.peers}.items():
        result = hand()
        if result.shape != exact.shape:
            raise ResultsDiffer(f"{name} gives {list(result.shape)}, wanted {list(exact.shape)}")
        error = (result.cpu().double() - exact).abs().max().item()
        if not error <= allowed:  # nor is a NaN
            raise ResultsDiffer(f"{name} is {error:.1e} from float64, allowed {allowed:.1e}")


def table(rows: Sequence[Row]) -> str:
    """The rows as Markdown, and where a peer is ahead."""
    lines = ["| work | sizes | ours | ms | peer | ms | ours is |", "| --- | --- | --- | --- | --- | --- | --- |"]
    for row in rows:
        ours, theirs = (f"{seconds * 1e3:.3f}" for seconds in (row.ours_seconds, row.peer_seconds))
        about = f"{row.cell.work} | {row.cell.sizes} | {row.cell.ours}"
        lines.append(f"| {about} | {ours} | {row.peer} | {theirs} | {row.speedup:.2f}x |")
    behind = [f"{row.cell}: {row.peer} ({row.speedup:.2f}x)" for row in rows if row.speedup < 1.0]
    lines += ["", f"Behind {'; '.join(behind)}." if behind else "Behind no peer that was here."]
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    chosen = _parsed(arguments)
    devices.prepare()
    rows: list[Row] = []
    missing: dict[str, list[str]] = {}
    wrong = 0
    for number, cell in enumerate(chosen.cells, start=1):
        print(f"{number} of {len(chosen.cells)}  {cell}", file=sys.stderr, flush=True)
        try:
            rows += compare(cell, rounds=chosen.rounds)
        except Missing as reason:
            missing.setdefault(str(reason), []).append(str(cell))
        except ResultsDiffer as reason:
            wrong += 1
            print(f"WRONG RESULT, not timed: {cell}: {reason}", file=sys.stderr, flush=True)
    print(f"{table(rows)}\n{settings()}")
    for why, left_out in missing.items():
        print(f"LEFT OUT: {'; '.join(left_out)}: {why}")
    return 1 if wrong else 0


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("words", nargs="*", metavar="WORD", help="a cell is taken when its name has every word")
    parser.add_argument("--rounds", type=int, default=9, help="how often each cell is timed (default: 9)")
    chosen = parser.parse_args(arguments)
    chosen.cells = [cell for cell in cells() if all(word in str(cell) for word in chosen.words)]
    if not chosen.cells:
        parser.error(f"no cell has {' '.join(chosen.words)}; there are: {'; '.join(map(str, cells()))}")
    if chosen.rounds < 1:
        parser.error(f"--rounds {chosen.rounds}, wanted >= 1")
    return chosen


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
