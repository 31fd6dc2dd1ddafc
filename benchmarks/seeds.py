"""The tables of the five source documents, each with what this library does here beside what they said of theirs.

Other machines, other sizes, other models: what can be compared is the ratio within a column.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial

import torch

from benchmarks import compiler, devices, formulas, observe
from benchmarks.bodies import BUILDERS, Body, decoder, head, mask, parts
from benchmarks.medians import Timing, markdown, timing
from benchmarks.memory import memory
from benchmarks.training import recalled, train
from benchmarks.turns import in_turns, seeded
from benchmarks.workloads import RECALL_INPUTS, RECALL_VARIANTS, ProjectionInput

#: Of what takes long: calls and warm-ups.
FEW: dict[str, int] = {"calls": 9, "warm_ups": 2}

#: Baseline and optimised form of what seed 000 timed, and its milliseconds (M1 Pro, MPS, B=4, T=256).
PAIRS: dict[str, tuple[Callable[[str, str], Body], str]] = {
    "attention forward": (head, "b4_t256_c64"),
    "train step": (train, "b4_t256_c256_n4"),
}
SEED_000 = {"attention forward": (5.31, 3.70), "train step": (215.79, 205.94)}

#: Seed 001's milliseconds a batch, and which of our decoders stands for each row; the last is compiled.
DECODER_INPUT, RECALL_INPUT = "b4_s50_t25_d128", "b32_s8_f8_z8_n60"
WITHOUT, COMPILED = "no attention (RNN)", "with torch.compile"
SEED_001 = {
    WITHOUT: (45.0, "rnn_loop"),
    "attention as it was": (450.0, "recompute"),
    "keys and values cached": (90.0, "cached"),
    "with flash attention": (60.0, "cached_sdpa"),
    COMPILED: (55.0, "batched"),
}
#: Its settings, with the speed-up and the quality that it expected of each.
SEED_001_SETTINGS = {
    "maximum_speed": ("3-5x", "90 %"),
    "balanced": ("2-3x", "95 %"),
    "maximum_quality": ("1.5x", "100 %"),
}

SHARED_INPUT, HOT_INPUT = "b1_hq8_hkv1_s4096_d64", "b1_h8_t256_d64"

#: Seed 003's milliseconds: a prompt, a token.
CACHE_INPUT = "b1_hq8_hkv2_s1024_d64"
SEED_003 = {"concat": ("simple, concatenated", 198.0, 53.0), "paged": ("paged, with Metal kernels", 592.0, 70.75)}

WIDTH, HEADS, LENGTHS = 4096, 32, (1, 8, 32, 128, 512)
#: Seed 004's milliseconds by length at that width, on a CPU.
SEED_004: dict[str, dict[int, float]] = {
    "projection": {1: 19.1, 8: 21.0, 32: 50.8, 128: 65.5},
    "rotation": {1: 0.0626, 8: 0.2061, 32: 0.4678, 128: 9.2},
    "scores": {1: 0.0038, 8: 0.0448, 32: 0.3085, 128: 8.5},
    "attention": {1: 0.0115, 8: 0.1198, 32: 1.07},
}
#: Its mask, built anew and element by element at each forward.
SEED_004_MASK = {8: 0.0099, 32: 0.1187, 128: 2.1, 512: 58.8}
ATTENTION = ("scores", "mask", "softmax", "output")


def pairs() -> Iterator[tuple[str, Timing, Timing]]:
    """Baseline and optimised form of what seed 000 timed: 200 calls after 50."""
    for name, (build, given) in PAIRS.items():
        before, after = (timing(build(variant, given)) for variant in ("plain", "cached"))
        yield name, before, after


def seed_000(rows: list[tuple[str, Timing, Timing]] | None = None) -> str:
    """Before and after."""
    lines = []
    for name, before, after in list(pairs()) if rows is None else rows:
        theirs, speed_up = SEED_000[name], before.milliseconds / after.milliseconds
        times = [f"{ms:.2f} ms" for ms in (before.milliseconds, after.milliseconds)]
        lines.append(
            [name, *times, f"{speed_up:.2f}x", *(f"{ms} ms" for ms in theirs), f"{theirs[0] / theirs[1]:.2f}x"]
        )
    return markdown(["benchmark", "baseline", "optimised", "speed-up", "theirs", "optimised", "speed-up"], lines)


def seed_001() -> str:
    """A decoder's batch, forward and backward, beside an RNN's; and the presets."""
    lacking = compiler.lacking()
    wraps = {name: torch.compile if name == COMPILED else None for name in SEED_001}
    bodies = {
        name: decoder(variant, DECODER_INPUT, wrap=wraps[name])
        for name, (_, variant) in SEED_001.items()
        if not (name == COMPILED and lacking)
    }
    taken = _best(bodies)
    rnn, their_rnn = taken[WITHOUT], SEED_001[WITHOUT][0]
    lines = []
    for name, (theirs, variant) in SEED_001.items():
        ours = [f"{taken[name]:.2f} ms", f"{taken[name] / rnn:.2f}x"] if name in taken else [f"wants {lacking}", ""]
        lines.append([name, variant, *ours, f"{theirs:g} ms", f"{theirs / their_rnn:.2f}x"])
    first = markdown(["batch", "our form", "ours", "of the RNN's", "theirs", "of the RNN's"], lines)
    return f"{first}\n\n{_settings()}"


def _settings() -> str:
    """Each preset beside the network without attention: what recall gains, and what its forms are worth."""
    size = RECALL_INPUTS[RECALL_INPUT]
    cosines = {name: _cosine(name) for name in RECALL_VARIANTS}
    without, best_cosine = cosines["rnn"], cosines["maximum_quality"]
    lines = []
    for name, (speed, quality) in SEED_001_SETTINGS.items():
        cosine = cosines[name]
        took = _best({form: _autoencoder(name, plain=form == "plain") for form in ("plain", "fast")})
        kept = (cosine - without) / (best_cosine - without)
        lines.append(
            [name, f"{took['plain'] / took['fast']:.2f}x", f"{cosine - without:+.2f}", f"{kept:.0%}", speed, quality]
        )
    told = f"After {size.steps} steps of recall; the cosine without attention is {without:.2f}; they expected +0.15."
    return f"{markdown(['preset', 'speed-up', 'cosine', 'of it kept', 'theirs', 'kept'], lines)}\n{told}"


def _cosine(variant: str) -> float:
    torch.manual_seed(0)
    return recalled(variant, RECALL_INPUT)()


def _autoencoder(name: str, *, plain: bool) -> Body:
    """A training batch of a preset's decoder, with its forms or without."""
    size, preset = RECALL_INPUTS[RECALL_INPUT], devices.member("preset")(name)
    build, width = devices.member("AttentionAutoencoder"), devices.submodule("presets").WIDTH
    forms: Mapping[str, object] = preset.plain() if plain else preset.forms
    model = build(size.feature_size, width, size.bottleneck, max_length=size.length, **forms).to(devices.device())
    x = torch.randn(size.batch, size.length, size.feature_size).to(devices.device())
    weights = list(model.parameters())
    return lambda: torch.autograd.grad((model(x) - x).square().mean(), weights)


def seed_002() -> str:
    """No table of times: what it audited, counted here."""
    hot = {"head": ("sdpa", "b4_t256_c64"), "kernel": ("chunked", HOT_INPUT), "decode": ("grouped", SHARED_INPUT)}
    seen = {kind: observe.operators(_warm(kind, *given)) for kind, given in hot.items()}
    read = sum(each.transfers for each in seen.values())
    copied, shared = (memory(_warm("decode", variant, SHARED_INPUT)).peak for variant in ("repeated_kv", "grouped"))
    torch.manual_seed(0)
    error = max(formulas.kernel_error(variant, HOT_INPUT)() for variant in ("naive", "sdpa", "chunked"))
    lines = [
        [f"transfers to the host in hot paths ({', '.join(hot)})", str(read), "0"],
        ["bytes for 8 heads that share one key head", f"{shared:,} (repeated: {copied:,})", "8 times the key head's"],
        ["largest difference from the reference, float32", f"{error:.1e}", "within 1e-6"],
    ]
    return markdown(["audited", "ours", "theirs"], lines)


def seed_003() -> str:
    """A prompt of 1,024, and a token after it, one layer: concatenated, static, in pages."""
    variants = ("concat", "static", "paged")
    prompts, tokens = (
        _best({variant: seeded(kind, variant, CACHE_INPUT) for variant in variants}) for kind in ("prefill", "cache")
    )
    lines = []
    for variant in variants:
        ms = tokens[variant]
        ours = [f"{prompts[variant]:.2f} ms", f"{ms:.3f} ms", f"{1e3 / ms:,.0f}", f"{tokens['concat'] / ms:.2f}x"]
        name, prompt, token = SEED_003.get(variant, ("", 0.0, 0.0))
        simple = SEED_003["concat"][2]
        theirs = [name, f"{prompt:g} ms", f"{token:g} ms", f"{simple / token:.2f}x"] if name else ["", "", "", ""]
        lines.append([variant, *ours, *theirs])
    return markdown(
        ["cache", "prompt", "token", "tokens/s", "speed-up", "theirs", "prompt", "token", "speed-up"], lines
    )


def seed_004() -> str:
    """Where a pipeline's time goes by length; and what building a mask costs."""
    by_length = {length: shares(length) for length in LENGTHS}
    names = ("projection", "rotation", *ATTENTION, "attention", "rest", "whole")
    lines = [[name, *(_cell(name, length, taken) for length, taken in by_length.items())] for name in names]
    first = markdown(["part", *(f"T={length}" for length in by_length)], lines)
    built = [
        [variant, *(f"{timing(mask(variant, length), **FEW).milliseconds:.3g} ms" for length in SEED_004_MASK)]
        for variant in ("element_loop", "full_triu", "cached")
    ]
    theirs = ["theirs", *(f"{ms:g} ms" for ms in SEED_004_MASK.values())]
    second = markdown(["mask built", *(f"T={length}" for length in SEED_004_MASK)], [*built, theirs])
    about = f"width {WIDTH}, {HEADS} heads; in brackets theirs; attention is {', '.join(ATTENTION)}"
    return f"{first}\n{about}\n\n{second}"


def shares(length: int) -> dict[str, float]:
    """Milliseconds of each part of the pipeline at a length; "rest" is the output projection and what lies between."""
    size = ProjectionInput(1, length, WIDTH, HEADS)
    taken = {name: timing(body, **FEW).milliseconds for name, body in parts(size).items()}
    taken["rest"] = max(0.0, taken["whole"] - sum(ms for name, ms in taken.items() if name != "whole"))
    taken["attention"] = sum(taken[name] for name in ATTENTION)
    return taken


def _cell(name: str, length: int, taken: Mapping[str, float]) -> str:
    theirs = SEED_004.get(name, {}).get(length)
    cell = f"{taken[name]:.3g} ms, {taken[name] / taken['whole']:.0%}"
    return cell if theirs is None else f"{cell} ({theirs:g} ms)"


def _best(bodies: Mapping[str, Body]) -> dict[str, float]:
    """Milliseconds of each body's best calls, taken in turns."""
    return {name: 1e3 * min(times) for name, times in in_turns(bodies, rounds=9).items()}


def _warm(kind: str, variant: str, name: str) -> Body:
    torch.manual_seed(0)
    body = BUILDERS[kind](variant, name)
    body()
    return body


TABLES: dict[str, Callable[[], str]] = {
    "000": partial(seed_000, None),
    "001": seed_001,
    "002": seed_002,
    "003": seed_003,
    "004": seed_004,
}
