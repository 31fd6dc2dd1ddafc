"""Write tests/guards/fixtures.json: eight cases of multi-head attention with their results, for guard G3.

    python tools/make_fixtures.py

An oracle of its own: NumPy in float64, a sequence, a head and a query at a time; what a query may not see is cut off
instead of masked. Nothing of the library is imported. The inputs are multiples of a power of two, exact in bfloat16, so
that the same is asked in every dtype.
"""

import json
from math import prod, sqrt
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PLACE = Path(__file__).parents[1] / "tests" / "guards" / "fixtures.json"

Array = NDArray[np.float64]
Case = dict[str, Any]


class Draw:
    """Multiples of 1 / steps from -64 / steps to 63 / steps: 7 bits each of a generator whose stream is fixed."""

    def __init__(self, seed: int) -> None:
        self._bits = np.random.PCG64(seed)

    def __call__(self, *shape: int, steps: int = 64) -> Array:
        raw = np.asarray(self._bits.random_raw(prod(shape))) >> np.uint64(57)
        return ((raw.astype(np.int64) - 64) / steps).reshape(shape)


def cases() -> dict[str, Case]:
    """The eight cases by name: what a module is made with, what it is given, and what it must answer."""
    return {
        "self": _module(1, (2, 9), embed_dim=12, num_heads=3, causal=True),
        "cross": _module(2, (2, 5), 8, embed_dim=12, num_heads=3, kv_width=10, fused_qkv=False, causal=False),
        "d_k != d_v": _module(3, (2, 7), embed_dim=12, num_heads=2, key_dim=5, value_dim=9, causal=False),
        "kv sharing": _module(4, (2, 9), embed_dim=12, num_heads=6, num_kv_heads=2, causal=True),
        "cached": {
            "pieces": [5, 1, 1, 1, 1],
            **_module(5, (2, 9), embed_dim=12, num_heads=4, num_kv_heads=2, causal=True),
        },
        "streaming": {
            "pieces": [3, 1, 4, 2],
            **_module(6, (1, 10), embed_dim=12, num_heads=4, num_kv_heads=2, key_dim=4, value_dim=6, causal=True),
        },
        "large batch": _dropping(7, (32, 5), 0.25, embed_dim=8, num_heads=2, causal=True),
        "chunked": _chunked(8),
    }


def _module(seed: int, size: tuple[int, int], source_length: int | None = None, **options: Any) -> Case:
    draw = Draw(seed)
    B, L = size
    C, heads = options["embed_dim"], options["num_heads"]
    kv_heads, D = options.get("num_kv_heads", heads), options.get("key_dim", C // heads)
    Dv, kv_width = options.get("value_dim", D), options.get("kv_width", C)
    x = draw(B, L, C)
    context = None if source_length is None else draw(B, source_length, kv_width)
    weights = {
        "query": draw(heads * D, C),
        "key": draw(kv_heads * D, kv_width),
        "value": draw(kv_heads * Dv, kv_width, steps=128),
        "out": draw(C, heads * Dv, steps=128),
    }
    given = {"options": options, "x": x, "weights": weights} | ({} if context is None else {"context": context})
    return given | {"out": _attend(given)}


def _dropping(seed: int, size: tuple[int, int], dropout_p: float, **options: Any) -> Case:
    case = _module(seed, size, **options)
    kept = Draw(100 + seed)(size[0], options["num_heads"], size[1], size[1]) >= 2 * dropout_p - 1
    dropped = {"kept": kept.astype(np.int64), "dropped_out": _attend(case, kept / (1 - dropout_p))}
    return case | {"dropout_p": dropout_p} | dropped


def _attend(case: Case, factors: Array | None = None) -> Array:
    """A whole module, one head of one sequence after the other."""
    options, x, weights = case["options"], case["x"], case["weights"]
    source, heads = case.get("context", x), options["num_heads"]
    kv_heads = options.get("num_kv_heads", heads)
    results = []
    for b in range(len(x)):
        q, k, v = x[b] @ weights["query"].T, source[b] @ weights["key"].T, source[b] @ weights["value"].T
        q_heads, k_heads, v_heads = (np.split(t, n, axis=1) for t, n in ((q, heads), (k, kv_heads), (v, kv_heads)))
        mixed = []
        for h in range(heads):
            shared = h * kv_heads // heads
            of_head = None if factors is None else factors[b, h]
            of_all, _ = _head(q_heads[h], k_heads[shared], v_heads[shared], causal=options["causal"], factors=of_head)
            mixed.append(of_all)
        results.append(np.concatenate(mixed, axis=1) @ weights["out"].T)
    return np.stack(results)


def _head(q: Array, k: Array, v: Array, *, causal: bool, factors: Array | None = None) -> tuple[Array, list[Array]]:
    """Each query's result, and its weights of the keys that it sees: with causality, those up to its own place."""
    results, weights = [], []
    for i, query in enumerate(q):
        seen = len(k) - len(q) + i + 1 if causal else len(k)
        scores = k[:seen] @ query / sqrt(len(query))
        powers = np.exp(scores - scores.max())
        weights.append(powers / powers.sum())
        used = weights[-1] if factors is None else weights[-1] * factors[i, :seen]
        results.append(used @ v[:seen])
    return np.array(results), weights


def _chunked(seed: int) -> Case:
    """A kernel alone, with the gradients of its inputs along a given direction: the derivative of softmax by hand."""
    draw = Draw(seed)
    shapes = {"q": (1, 2, 11, 6), "k": (1, 2, 13, 6), "v": (1, 2, 13, 6), "along": (1, 2, 11, 6)}
    given = {name: draw(*shape) for name, shape in shapes.items()}
    answers = {name: np.zeros(shape) for name, shape in (shapes | {"out": shapes["q"]}).items() if name != "along"}
    for h in range(2):
        q, k, v, along = (t[0, h] for t in given.values())
        out, weights = _head(q, k, v, causal=True)
        answers["out"][0, h] = out
        for i, seen in enumerate(len(w) for w in weights):
            of_scores = weights[i] * (v[:seen] @ along[i] - out[i] @ along[i]) / sqrt(q.shape[1])
            answers["q"][0, h, i] = of_scores @ k[:seen]
            answers["k"][0, h, :seen] += np.outer(of_scores, q[i])
            answers["v"][0, h, :seen] += np.outer(weights[i], along[i])
    gradients = {name: answers[name] for name in "qkv"}
    return {"chunk": 4, **given, "out": answers["out"], "gradients": gradients}


def text(found: dict[str, Case]) -> str:
    """JSON, an array a line. A float64 written by Python is read back bit for bit."""

    def plain(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return value.tolist()
        return {name: plain(each) for name, each in value.items()} if isinstance(value, dict) else value

    def lines(case: Case) -> str:
        return ",\n".join(
            f"  {json.dumps(name)}: {json.dumps(plain(value), separators=(',', ':'))}" for name, value in case.items()
        )

    return "{\n" + ",\n".join(f" {json.dumps(name)}: {{\n{lines(case)}\n }}" for name, case in found.items()) + "\n}\n"


if __name__ == "__main__":
    PLACE.write_text(text(cases()))
    print(f"{PLACE.name}: {len(cases())} cases, {PLACE.stat().st_size / 1024:.0f} KiB")
