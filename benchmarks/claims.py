"""What each optimisation is worth here, beside what it has to be worth: one line a claim, each inside one process.

    python -m benchmarks.ratios

Bodies and inputs are the benchmarks' own (bodies.py, workloads.py). What is compared gives the same numbers, which is
looked at first; then the two are timed in turns (turns.py), and the best calls of both are compared.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks import best, devices
from benchmarks.inputs import normal
from benchmarks.lengths import placed
from benchmarks.memory import memory
from benchmarks.turns import faster, seeded

EIGHT_LENGTHS = "b8_s64x7_s4096_hq8_hkv2_d64"


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence about a number, how it is measured, and the number wanted."""

    sentence: str
    measure: Callable[[], float]
    target: float
    unit: str = "x"
    at_most: bool = False

    def holds(self, found: float) -> bool:
        """Whether the number is as wanted."""
        return found <= self.target if self.at_most else found >= self.target


def claims() -> Iterator[Claim]:
    """Every claim, by the source document that it comes from."""
    # 000: one head
    yield Claim("a cached mask over one built anew", over("head", "b4_t256_c64", "cached", "plain"), 1.15)
    yield Claim("a look-up of a cached mask", _look_up, 2.0, "us", at_most=True)
    # 001: fused kernel, sparse patterns
    yield Claim("the rate of SDPA over that of a product", _rate_of_product, 0.80)
    yield Claim("a window over a full mask", over("local", "b1_h8_t4096_d64_w256", "blocked", "masked"), 6.0)
    yield Claim("a decoder in one call over recomputed keys and values", decoder("batched", "recompute"), 3.5)
    yield Claim("a decoder's cached keys and values and SDPA over recomputed", decoder("cached_sdpa", "recompute"), 3.5)
    yield Claim("a decoder's time over that of an RNN step by step", decoder("rnn_loop", "batched"), 1.4, at_most=True)
    yield Claim("a stride over a full mask", over("strided", "b1_h8_t4096_d64_s8", "regrouped", "masked"), 6.0)
    # 002: shared key heads, chunks
    yield Claim("a group as rows over enable_gqa", over("decode", "b1_hq8_hkv2_s4096_d64", "grouped", "sdpa"), 1.8)
    yield Claim("a group as rows over copies", over("decode", "b1_hq8_hkv2_s4096_d64", "grouped", "repeated_kv"), 5.0)
    yield Claim("causal chunks over is_causal", over("kernel", "b1_h8_t512_d64", "chunked", "sdpa"), 1.2)
    yield Claim("recomputed chunks over all scores", over("backward", "b1_h8_t1024_d64", "checkpointed", "naive"), 1.0)
    yield Claim("their peak over that of all scores", _recomputed_peak, 0.25, at_most=True)
    # 003: caches
    yield Claim("a static cache over concatenation", over("cache", "b1_hq8_hkv2_s4096_d64", "static", "concat"), 1.3)
    for length in (256, 1024, 4096):
        name = f"b1_hq8_hkv2_s{length}_d64"
        yield Claim(f"pages over a static cache, {length} held", over("cache", name, "paged", "static"), 0.85)
        yield Claim(f"pages over concatenation, {length} held", over("cache", name, "paged", "concat"), 1.0)
    prompt = over("prefill", "b1_hq8_hkv2_s1024_d64", "paged", "concat")
    yield Claim("a prompt of 1,024 into pages over concatenation", prompt, 0.95)
    yield Claim("eight lengths in pages over padding", over("mixed", EIGHT_LENGTHS, "paged", "padded"), 4.0)
    yield Claim("their bytes over those of padding", _mixed_bytes, 1 / 3, at_most=True)
    # 004: rotary positions
    yield Claim("complex RoPE over stacked pairs", over("rotary", "b1_h8_t128_d64", "complex", "stack"), 10.0)


def table(measured: Sequence[tuple[Claim, float | str]]) -> str:
    """The claims as Markdown, each with what was found, or why nothing was."""
    lines = ["| claim | wanted | here | |", "| --- | --- | --- | --- |"]
    for claim, found in measured:
        wanted = f"{'at most' if claim.at_most else 'at least'} {claim.target:.3g} {claim.unit}"
        if isinstance(found, str):
            lines.append(f"| {claim.sentence} | {wanted} | | left out: {found} |")
        else:
            kept = "" if claim.holds(found) else "not reached"
            lines.append(f"| {claim.sentence} | {wanted} | {found:.2f} {claim.unit} | {kept} |")
    return "\n".join(lines)


def over(kind: str, name: str, variant: str, than: str) -> Callable[[], float]:
    """How many times as fast `variant` is as `than`, both on one input."""
    return lambda: faster(seeded(kind, variant, name), seeded(kind, than, name))


def decoder(variant: str, than: str) -> Callable[[], float]:
    """As `over`, in training: forms have weights of different shapes, and so gradients; the guards compare them."""
    name = "b4_s50_t25_d128"
    return lambda: faster(seeded("decoder", variant, name), seeded("decoder", than, name), alike=False)


def _look_up() -> float:
    body = seeded("mask", "cached", 512)
    return 1e6 * min(best.seconds(body) for _ in range(9))


def _mixed_bytes() -> float:
    paged, padded = (placed(variant, EIGHT_LENGTHS)[1] for variant in ("paged", "padded"))
    return paged / padded


def _rate_of_product() -> float:
    q, k, v = normal(3, 1, 8, 1024, 64).unbind()
    attend = devices.variant("attention", "sdpa")
    # 4 H T² D operations, as many as in a product of two T x T matrices: 2 T³.
    return faster(lambda: attend(q, k, v), seeded("gemm", "float32", 1024), alike=False)


def _recomputed_peak() -> float:
    return _peak("checkpointed") / _peak("naive")


def _peak(variant: str) -> int:
    body = seeded("backward", variant, "b1_h8_t1024_d64")
    body()  # masks that are kept are no part of it
    return memory(body).peak
