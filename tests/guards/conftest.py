"""What the guards share. A runner executes this folder alone against each commit's `attention`:

    PYTHONPATH=<worktree> pytest tests/guards --device cpu --junitxml=guards.xml

So it needs pytest, torch and an importable `attention`, and nothing else of this repository: the names of variants are
literal here, the oracle is this folder's own, and what a commit lacks is skipped as "not applicable: ...". A guard
whose `attention` cannot be imported ends in an error, never in a failure.

Each module says which guard it is (GUARD). A test that judges one variant takes it as the parameter `kernel`, `head`,
`mask` or `model`; from that follow the JUnit properties variant and covers. Other tests are covered by COVERS.
"""

import math
import re
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any, NoReturn

import pytest
import torch
from torch import Tensor

#: What each device computes in (MPS has no float64; float16 on a CPU is emulated).
DTYPES = {
    "cpu": ("float64", "float32", "bfloat16"),
    "mps": ("float32", "float16"),
    "cuda": ("float32", "float16", "bfloat16"),
}
#: By parameter: the registry's kind, and the benchmarks that run such a variant, as asv names them.
KINDS = {
    "kernel": ("attention", r"forward\.Kernels\.\w+"),
    "head": ("module", r"(forward|counters|memory)\.Forward\.\w+"),
    "mask": ("mask", r"components\.Mask\.\w+"),
    "model": ("train", r"(train_step|counters|memory)\.TrainStep\.\w+"),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--device", choices=tuple(DTYPES), default="cpu", help="device that the guards run on")


def chosen(config: pytest.Config) -> str:
    # Collected from a folder above, this file comes too late to define the option.
    return str(config.getoption("--device", default="cpu"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "dtype" in metafunc.fixturenames:
        metafunc.parametrize("dtype", DTYPES[chosen(metafunc.config)])


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Write what the test is about into the JUnit file before a fixture can skip it.

    They are `record_property`'s properties, without the warning that it gives at each use.
    """
    params = item.callspec.params if hasattr(item, "callspec") else {}
    module = item.getparent(pytest.Module)
    assert module is not None
    about = {"guard": module.obj.GUARD, "device": chosen(item.config), "dtype": params.get("dtype", "float32")}
    for parameter, (_, benchmarks) in KINDS.items():
        if parameter in params:
            about["variant"] = params[parameter]
            about["covers"] = rf"{benchmarks}\('{re.escape(params[parameter])}'.*"
    if "variant" not in about:
        about["covers"] = module.obj.COVERS
    item.user_properties += about.items()


@pytest.fixture
def device(request: pytest.FixtureRequest) -> str:
    name = chosen(request.config)
    if name == "mps" and not torch.backends.mps.is_available():
        pytest.skip("this machine has no MPS device")
    if name == "cuda" and not torch.cuda.is_available():
        pytest.skip("this machine has no CUDA device")
    return name


@pytest.fixture
def attention() -> ModuleType:
    return import_module("attention")


def lacks(what: str) -> NoReturn:
    pytest.skip(f"not applicable: this commit has no {what}")


@pytest.fixture
def member(attention: ModuleType) -> Callable[[str], Any]:
    """Take a public name from the measured commit."""

    def find(name: str) -> Any:
        return getattr(attention, name) if hasattr(attention, name) else lacks(name)

    return find


@pytest.fixture
def build(member: Callable[[str], Any]) -> Callable[[str, str], Callable[..., Any]]:
    """Take a variant from the measured commit's registry, by the parameter that names it."""

    def find(parameter: str, name: str) -> Callable[..., Any]:
        kind, _ = KINDS[parameter]
        known = {variant.name: variant.build for variant in member("variants")(kind)}
        return known[name] if name in known else lacks(f"{kind} variant {name!r}")

    return find


@pytest.fixture
def within(request: pytest.FixtureRequest) -> Callable[[Tensor, Tensor, float], None]:
    """Hold a result to a reference, and keep the error and what was allowed."""

    def judge(result: Tensor, reference: Tensor, tolerance: float) -> None:
        difference = (result.detach().cpu().double() - reference.detach().cpu().double()).abs()
        error = difference.max().item() if difference.numel() else 0.0
        request.node.user_properties += [("error", error), ("tolerance", tolerance)]
        assert error <= tolerance, f"error {error:.3e}, allowed {tolerance:.3e}"  # NaN is not <= anything

    return judge


@pytest.fixture(scope="session")
def oracle() -> Callable[..., Tensor]:
    return formula


@pytest.fixture(scope="session")
def floor() -> Callable[..., float]:
    """The error allowed in a dtype: twice that of plain torch in it, and one rounding of the largest value."""

    def allowed(q: Tensor, k: Tensor, v: Tensor, *, is_causal: bool) -> float:
        if q.dtype == torch.float64:
            return 1e-12
        exact = formula(q.cpu().double(), k.cpu().double(), v.cpu().double(), is_causal=is_causal)
        plain = formula(q, k, v, is_causal=is_causal).cpu().double()
        largest = max(1.0, exact.abs().max().item())
        return 2.0 * (plain - exact).abs().max().item() + torch.finfo(q.dtype).eps * largest

    return allowed


def formula(q: Tensor, k: Tensor, v: Tensor, *, is_causal: bool) -> Tensor:
    """softmax(q kᵀ / sqrt(D)) v in the inputs' dtype, causal lower-right aligned; a row without keys gives zeros."""
    L, S = q.shape[-2], k.shape[-2]
    scores = torch.matmul(q, k.transpose(-2, -1)) * (1 / math.sqrt(q.shape[-1]))
    if is_causal:
        rows, columns = torch.arange(L, device=q.device)[:, None], torch.arange(S, device=q.device)[None, :]
        scores = scores.masked_fill(columns > rows + (S - L), -math.inf)
    return torch.matmul(torch.nan_to_num(scores.softmax(dim=-1), nan=0.0), v)
