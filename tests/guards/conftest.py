"""What the guards share. A runner executes this folder alone against each commit's `attention`:

    PYTHONPATH=<worktree> pytest tests/guards --device cpu --junitxml=guards.xml

So it needs pytest, torch and an importable `attention`, and nothing else of this repository: the names of variants are
literal here, the oracle is this folder's own, and what a commit lacks is skipped as "not applicable: ...". A guard
whose `attention` cannot be imported ends in an error, never in a failure.

Each module says which guard it is (GUARD). A test that judges one variant takes it as one of the parameters of KINDS,
which runs it for all of them; from that follow the JUnit properties variant and covers. Other tests are covered by
COVERS.
"""

import math
import re
from collections.abc import Callable
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import Any, NamedTuple, NoReturn

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

#: What each device computes in (MPS has no float64; float16 on a CPU is emulated).
DTYPES = {
    "cpu": ("float64", "float32", "bfloat16"),
    "mps": ("float32", "float16"),
    "cuda": ("float32", "float16", "bfloat16"),
}


class Kind(NamedTuple):
    """A kind of the registry, those of its variants that a parameter takes, and the benchmarks that run them."""

    name: str
    variants: tuple[str, ...]
    benchmarks: str  #: a regular expression of their asv names


_KERNELS = r"\w+\.(Kernels|Backward|Decode)\.\w+"
#: By parameter. Variants are added, never renamed.
KINDS = {
    "kernel": Kind(
        "attention", ("naive", "masked", "sdpa", "chunked", "checkpointed", "repeated_kv", "grouped"), _KERNELS
    ),
    #: Kernels that take fewer key heads than query heads.
    "sharing": Kind("attention", ("sdpa", "repeated_kv", "grouped"), _KERNELS),
    "local": Kind("local", ("masked", "blocked"), r"\w+\.Local\.\w+"),
    "strided": Kind("strided", ("masked", "regrouped"), r"\w+\.Strided\.\w+"),
    "head": Kind("module", ("plain", "stored_scale", "cached", "fused", "sdpa"), r"\w+\.Forward\.\w+"),
    "projection": Kind("projection", ("separate", "fused"), r"\w+\.Projection\.\w+"),
    "rotary": Kind("rotary", ("recomputed", "stack", "half_split", "complex"), r"\w+\.Rotary\.\w+"),
    "kv_cache": Kind(
        "cache",
        ("concat", "static", "growing", "paged", "adaptive", "quantized"),
        r"(kv_cache\.\w+|\w+\.Cache)\.\w+",
    ),
    "mask": Kind("mask", ("element_loop", "full_triu", "tril_fill", "bool_tril", "cached"), r"\w+\.Mask\.\w+"),
    "model": Kind("train", ("plain", "cached", "sdpa"), r"\w+\.TrainStep\.\w+"),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--device", choices=tuple(DTYPES), default="cpu", help="device that the guards run on")


def chosen(config: pytest.Config) -> str:
    # Collected from a folder above, this file comes too late to define the option.
    return str(config.getoption("--device", default="cpu"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test for every dtype and every variant that it takes, unless it says for which."""
    given = [mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")]
    said = {name for names in given for name in ((names,) if isinstance(names, str) else names)}
    everything = {"dtype": DTYPES[chosen(metafunc.config)]} | {name: kind.variants for name, kind in KINDS.items()}
    for parameter in metafunc.fixturenames:
        if parameter in everything and parameter not in said:
            metafunc.parametrize(parameter, everything[parameter])


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Write what the test is about into the JUnit file before a fixture can skip it; start from one seed.

    They are `record_property`'s properties, without the warning that it gives at each use.
    """
    torch.manual_seed(0)
    params = item.callspec.params if hasattr(item, "callspec") else {}
    module = item.getparent(pytest.Module)
    assert module is not None
    about = {"guard": module.obj.GUARD, "device": chosen(item.config), "dtype": params.get("dtype", "float32")}
    for parameter, kind in KINDS.items():
        if parameter in params:
            about["variant"] = params[parameter]
            about["covers"] = rf"{kind.benchmarks}\('{re.escape(params[parameter])}'.*"
    if "variant" not in about:
        about["covers"] = module.obj.COVERS
    item.user_properties += about.items()


@pytest.fixture(scope="session")
def device(request: pytest.FixtureRequest) -> str:
    name = chosen(request.config)
    if name == "mps" and not torch.backends.mps.is_available():
        pytest.skip("this machine has no MPS device")
    if name == "cuda" and not torch.cuda.is_available():
        pytest.skip("this machine has no CUDA device")
    return name


@pytest.fixture(scope="session")
def draw(device: str) -> Callable[..., list[Tensor]]:
    """Normal numbers of the given shapes, from one seed and drawn on the CPU: the same on every device."""

    def normal(*shapes: tuple[int, ...], dtype: str = "float32") -> list[Tensor]:
        torch.manual_seed(0)
        return [torch.randn(shape).to(getattr(torch, dtype)).to(device) for shape in shapes]

    return normal


@pytest.fixture(scope="session")
def attention() -> ModuleType:
    return import_module("attention")


def lacks(what: str) -> NoReturn:
    pytest.skip(f"not applicable: this commit has no {what}")


@pytest.fixture(scope="session")
def member(attention: ModuleType) -> Callable[[str], Any]:
    """Take a public name from the measured commit."""

    def find(name: str) -> Any:
        return getattr(attention, name) if hasattr(attention, name) else lacks(name)

    return find


@pytest.fixture(scope="session")
def build(member: Callable[[str], Any]) -> Callable[[str, str], Callable[..., Any]]:
    """Take a variant from the measured commit's registry, by the parameter that names it."""

    def find(parameter: str, name: str) -> Callable[..., Any]:
        kind = KINDS[parameter].name
        known = {variant.name: variant.build for variant in member("variants")(kind)}
        return known[name] if name in known else lacks(f"{kind} variant {name!r}")

    return find


@pytest.fixture(scope="session")
def sparse(build: Callable[[str, str], Callable[..., Any]]) -> Callable[..., tuple[Callable[..., Tensor], Tensor]]:
    """Take a local or strided kernel as f(q, k, v), and the pairs [L, L] of query and key that it may see."""

    def find(parameter: str, name: str, L: int, span: int) -> tuple[Callable[..., Tensor], Tensor]:
        distance = torch.arange(L)[:, None] - torch.arange(L)[None, :]
        near = distance < span if parameter == "local" else distance % span == 0
        word = {"local": "window", "strided": "stride"}[parameter]
        return partial(build(parameter, name), **{word: span}), (distance >= 0) & near

    return find


@pytest.fixture
def within(request: pytest.FixtureRequest) -> Callable[[Tensor, Tensor, float], None]:
    """Hold a result to a reference. Of several, the one that used most of what was allowed is kept."""
    most = -1.0

    def judge(result: Tensor, reference: Tensor, tolerance: float) -> None:
        nonlocal most
        difference = (result.detach().cpu().double() - reference.detach().cpu().double()).abs()
        error = difference.max().item() if difference.numel() else 0.0
        if not error / tolerance <= most:  # NaN is not <= anything
            most = error / tolerance
            told = request.node.user_properties
            told[:] = [each for each in told if each[0] not in ("error", "tolerance")]
            told += [("error", error), ("tolerance", tolerance)]
        assert error <= tolerance, f"error {error:.3e}, allowed {tolerance:.3e}"

    return judge


@pytest.fixture(scope="session")
def oracle() -> Callable[..., Tensor]:
    return formula


@pytest.fixture(scope="session")
def allowed() -> Callable[..., float]:
    return room


@pytest.fixture(scope="session")
def floor() -> Callable[..., float]:
    """The error allowed of a kernel in the dtype of q, k and v."""

    def judge(q: Tensor, k: Tensor, v: Tensor, **seen: Any) -> float:
        exact = formula(q.cpu().double(), k.cpu().double(), v.cpu().double(), **seen)
        return room(formula(q, k, v, **seen), exact)

    return judge


def room(plain: Tensor, exact: Tensor, *, times: float = 2.0) -> float:
    """So many times the error of plain torch in its dtype, and one rounding of the largest value."""
    if plain.dtype == torch.float64:
        return 1e-12  # it is the reference itself: a few thousand roundings of a value of size one
    error = (plain.detach().cpu().double() - exact).abs().max().item()
    return times * error + torch.finfo(plain.dtype).eps * max(1.0, exact.abs().max().item())


def formula(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    is_causal: bool = False,
    attn_mask: Tensor | None = None,
    scale: float | None = None,
) -> Tensor:
    """softmax(q kᵀ scale) v in the inputs' dtype, causal lower-right aligned; a row without keys gives zeros."""
    L, S = q.shape[-2], k.shape[-2]
    k, v = (t.repeat_interleave(q.shape[1] // t.shape[1], dim=1) for t in (k, v))
    scores = torch.matmul(q, k.transpose(-2, -1)) * (1 / math.sqrt(q.shape[-1]) if scale is None else scale)
    if is_causal:
        rows, columns = torch.arange(L, device=q.device)[:, None], torch.arange(S, device=q.device)[None, :]
        scores = scores.masked_fill(columns > rows + (S - L), -math.inf)
    if attn_mask is not None:
        given = attn_mask.to(q.device)
        scores = scores.masked_fill(~given, -math.inf) if given.dtype == torch.bool else scores + given.to(q.dtype)
    dead = (scores == -math.inf).all(dim=-1, keepdim=True)
    return torch.matmul(scores.masked_fill(dead, 0.0).softmax(dim=-1).masked_fill(dead, 0.0), v)


class Log(TorchDispatchMode):
    """The operators that ran, in order, and the devices of all tensors that they took and gave."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.devices: set[str] = set()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled under it, and to guard against that would import the compiler: a second

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        self.names.append(function.overloadpacket.__name__)
        self.devices.update(t.device.type for t in tree_leaves((args, kwargs, result)) if isinstance(t, Tensor))
        return result


@pytest.fixture(scope="session")
def log() -> type[Log]:
    return Log
