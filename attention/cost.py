"""What attention must do at least: floating-point operations and bytes, by the formulas of the docstrings.

A multiply-add is two operations. Bytes are each input and output once: what a perfect kernel would move.
"""

from dataclasses import dataclass

from attention.errors import ShapeError

#: Backward over forward: two products where the forward has one, and the scores once more.
BACKWARD = 2.5


def visible_pairs(L: int, S: int, *, is_causal: bool = False, window: int | None = None) -> int:
    """How many pairs of query and key are attended, causal lower-right aligned.

    Raises: ShapeError when a length is negative, or a window is given without is_causal or below 1.
    """
    if L < 0 or S < 0:
        raise ShapeError(f"visible_pairs: L={L}, S={S}, wanted lengths of at least 0")
    if window is not None and (window < 1 or not is_causal):
        raise ShapeError(f"visible_pairs: window={window} with is_causal={is_causal}, wanted >= 1 and causal")
    if not is_causal:
        return L * S
    seen = (max(0, S - L + 1 + query) for query in range(L))
    return sum(min(keys, window) if window else keys for keys in seen)


def attention_flops(
    batch: int,
    heads: int,
    L: int,
    S: int,
    D: int,
    Dv: int | None = None,
    *,
    is_causal: bool = False,
    window: int | None = None,
    backward: bool = False,
) -> float:
    """Scores and weighted values: 2 B Hq (D + Dv) for each visible pair; with `backward`, that and 2.5 times that."""
    pairs = visible_pairs(L, S, is_causal=is_causal, window=window)
    forward = 2.0 * batch * heads * pairs * (D + (D if Dv is None else Dv))
    return forward * (1.0 + BACKWARD) if backward else forward


def attention_bytes(
    batch: int, heads: int, kv_heads: int, L: int, S: int, D: int, Dv: int | None = None, *, itemsize: int = 4
) -> int:
    """q, k, v read and the result written, once each."""
    Dv = D if Dv is None else Dv
    return batch * (heads * L * (D + Dv) + kv_heads * S * (D + Dv)) * itemsize


def decode_bytes(batch: int, kv_heads: int, S: int, D: int, Dv: int | None = None, *, itemsize: int = 4) -> int:
    """One decode step: the cached keys and values read once for all that share a head, B Hkv S (D + Dv) numbers."""
    return batch * kv_heads * S * (D + (D if Dv is None else Dv)) * itemsize


def projection_flops(tokens: int, *widths: tuple[int, int]) -> float:
    """Linear layers on so many tokens: 2 in out each."""
    return sum(2.0 * tokens * fan_in * fan_out for fan_in, fan_out in widths)


def rotary_flops(batch: int, heads: int, L: int, D: int) -> float:
    """Four products and two sums for each pair of channels: 3 B H L D."""
    return 3.0 * batch * heads * L * D


@dataclass(frozen=True, slots=True)
class Roofline:
    """What a machine can do at best, measured on it."""

    flops: float  #: a second, in a matrix product of this dtype
    bytes: float  #: a second, read from where the operands lie

    def seconds(self, flops: float, bytes: float) -> float:
        """The time below which no kernel can be: whichever of the two takes longer."""
        return max(flops / self.flops, bytes / self.bytes)

    @property
    def ridge(self) -> float:
        """Operations a byte above which arithmetic is the limit, below it memory."""
        return self.flops / self.bytes
