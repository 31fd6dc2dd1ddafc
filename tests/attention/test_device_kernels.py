"""Decoding from pages: the plain form against the oracle, and the kernels of both devices, run by other means."""

import ctypes
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor

from attention import ShapeError, Unsupported, attention_reference
from attention.kernels import paged_metal
from attention.kernels.paged_decode import BLOCKS, SPAN, gathered_decode, in_spans, page_tables, paged_decode
from attention.paging import PagedKVCache

ROOT = Path(__file__).parents[2]
#: Hq, Hkv, D, Dv, page size: a key head each, shared ones with values of another width, one for all.
SIZES = ((3, 3, 8, 8, 4), (6, 2, 12, 20, 5), (4, 1, 16, 16, 1))
#: Tokens: none, one, whole pages, more than two spans.
LENGTHS = (0, 1, 20, 2 * SPAN + 3)
#: One span for all.
SHORT = (0, 1, 20, 7)
every_size = pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))

Inputs = dict[str, Tensor]
Sizes = tuple[int, ...]


def scattered(size: Sizes, dtype: torch.dtype = torch.float32, held: Sizes = LENGTHS) -> Inputs:
    """Sequences whose pages lie anywhere, in arenas of NaN elsewhere; what is not read of the table is no page."""
    Hq, Hkv, D, Dv, page_size = size
    torch.manual_seed(sum(size))
    lengths = torch.tensor(held, dtype=torch.int32)
    counts = [-(-length // page_size) for length in held]
    order = torch.randperm(sum(counts) + 3)
    table = torch.full((len(held), max(counts)), -9, dtype=torch.int32)
    k, v = (torch.full((Hkv, len(order) * page_size, n), torch.nan) for n in (D, Dv))
    for row, length, pages in zip(table, held, order[: sum(counts)].split(counts), strict=True):
        row[: len(pages)] = pages
        slots = (pages[:, None] * page_size + torch.arange(page_size)).flatten()[:length]
        k[:, slots], v[:, slots] = torch.randn(Hkv, length, D), torch.randn(Hkv, length, Dv)
    q = torch.randn(len(held), Hq, D).to(dtype)
    return {"q": q, "k_arena": k.to(dtype), "v_arena": v.to(dtype), "page_table": table, "lengths": lengths}


def whole(inputs: Inputs, b: int, page_size: int) -> tuple[Tensor, ...]:
    """One sequence as the oracle takes it."""
    pages = inputs["page_table"][b, : -(-LENGTHS[b] // page_size)].long()
    slots = (pages[:, None] * page_size + torch.arange(page_size)).flatten()[: LENGTHS[b]]
    q, k, v = inputs["q"][b, :, None], inputs["k_arena"][:, slots], inputs["v_arena"][:, slots]
    group = q.shape[0] // k.shape[0]
    return q[None], k.repeat_interleave(group, dim=0)[None], v.repeat_interleave(group, dim=0)[None]


def reference(inputs: Inputs, page_size: int, scale: float | None = None) -> Tensor:
    return torch.cat(
        [attention_reference(*whole(inputs, b, page_size), scale=scale)[:, :, 0] for b in range(len(LENGTHS))]
    )


def assert_near(found: Tensor, inputs: Inputs, page_size: int, scale: float) -> None:
    """Twice the plain form's error in the same dtype and one rounding of the largest value, as guard G1 has it."""
    exact = reference(inputs, page_size, scale)
    plain = gathered_decode(**inputs, page_size=page_size, scale=scale).double()
    allowed = 2 * (plain - exact).abs().max() + torch.finfo(found.dtype).eps * max(1.0, exact.abs().max().item())
    assert (found.double() - exact).abs().max() <= allowed


# --- the plain form ---------------------------------------------------------------------------------------------------


@every_size
@pytest.mark.parametrize("decode", [gathered_decode, paged_decode])
def test_scattered_pages_give_what_the_oracle_gives(decode, size) -> None:
    inputs = scattered(size, torch.float64)
    for scale in (None, 0.7):
        found = decode(**inputs, page_size=size[-1], scale=scale)
        # It is the oracle's dtype: some thousand roundings of values of size one.
        assert (found - reference(inputs, size[-1], scale)).abs().max() <= 1e-12


def test_a_cache_of_pages_decodes_alike() -> None:
    """Forked, grown in turns and shortened, so that runs are many and pages shared."""
    torch.manual_seed(4)
    cache = PagedKVCache(3, 2, 40, 8, page_size=4)
    for new in (5, 1, 9, 1):
        cache.append(torch.randn(3, 2, new, 8), torch.randn(3, 2, new, 8))
        cache.select(cache.sequences[1]).append(torch.randn(1, 2, 3, 8), torch.randn(1, 2, 3, 8))
    table, lengths = page_tables(cache.pager, cache.sequences)
    assert lengths.tolist() == [16, 28, 16]
    q = torch.randn(3, 4, 8)
    found = paged_decode(q, cache.arena.k[0], cache.arena.v[0], table, lengths, page_size=4)
    # Two orders of summation over 28 values of size one.
    assert (found - cache.attend(q[:, :, None])[:, :, 0]).abs().max() <= 1e-6


def test_no_sequence_and_no_page_are_no_trouble() -> None:
    inputs = scattered(SIZES[0])
    nobody = {name: t[:0] for name, t in inputs.items() if "arena" not in name}
    assert paged_decode(**(inputs | nobody), page_size=4).shape == (0, 3, 8)
    empty = {"page_table": inputs["page_table"][:, :0], "lengths": torch.zeros(4, dtype=torch.int32)}
    assert torch.equal(paged_decode(**(inputs | empty), page_size=4), torch.zeros(4, 3, 8))


def test_gradients_pass_the_plain_form_alone() -> None:
    inputs = scattered(SIZES[1], torch.float64)
    learning = {name: inputs[name].requires_grad_() for name in ("q", "k_arena", "v_arena")}
    along = torch.randn(4, 6, 20, dtype=torch.float64)
    found = torch.autograd.grad((gathered_decode(**inputs, page_size=5) * along).sum(), list(learning.values()))
    exact = torch.autograd.grad((reference(inputs, 5) * along).sum(), list(learning.values()))
    for name, one, other in zip(learning, found, exact, strict=True):
        assert (one - other).abs().max() <= 1e-12, name
    with pytest.raises(Unsupported, match="no gradient"):
        paged_decode(**inputs, page_size=5)
    with torch.no_grad():
        paged_decode(**inputs, page_size=5)


def test_nothing_is_asked_of_a_device() -> None:
    inputs = {name: t.to("meta") for name, t in scattered(SIZES[1]).items()}
    for decode in (gathered_decode, paged_decode):
        assert decode(**inputs, page_size=5).shape == (4, 6, 20)


@pytest.mark.parametrize(
    ("change", "met"),
    [
        ({"q": torch.zeros(4, 1, 6, 12)}, "q [4, 1, 6, 12]"),
        ({"q": torch.zeros(4, 5, 12)}, "q [4, 5, 12]"),
        ({"q": torch.zeros(3, 6, 12)}, "q [3, 6, 12]"),
        ({"q": torch.zeros(4, 6, 13)}, "q [4, 6, 13]"),
        ({"v_arena": torch.zeros(2, 5, 20)}, "v_arena [2, 5, 20]"),
        ({"page_table": torch.zeros(4, dtype=torch.int32)}, "page_table [4]"),
        ({"lengths": torch.zeros(5, dtype=torch.int32)}, "lengths [5]"),
        ({"page_size": 7}, "page_size 7"),
        ({"page_size": 0}, "page_size 0"),
        ({"q": torch.zeros(4, 6, 12, dtype=torch.float64)}, "torch.float64"),
        ({"lengths": torch.zeros(4, dtype=torch.int64)}, "torch.int64"),
        ({"page_table": torch.zeros(4, 103, dtype=torch.int32, device="meta")}, "on meta"),
    ],
)
@pytest.mark.parametrize("decode", [gathered_decode, paged_decode])
def test_what_does_not_fit_together_is_refused(decode, change, met) -> None:
    arguments = {**scattered(SIZES[1]), "page_size": 5, **change}
    with pytest.raises(ShapeError, match=re.escape(met)):
        decode(**arguments)


def wrong(inputs: Inputs, page_size: int) -> Iterator[tuple[str, Inputs]]:
    """Tables and lengths that cannot be, for sequence 2 alone, and what is said of them."""
    pages = inputs["k_arena"].shape[1] // page_size
    for page in (-1, pages):
        table = inputs["page_table"].clone()
        table[2, 2] = page
        yield f"names page {page}, wanted 0 to {pages - 1}", inputs | {"page_table": table}
    for length in (-1, inputs["page_table"].shape[1] * page_size + 1):
        lengths = inputs["lengths"].clone()
        lengths[2] = length
        yield rf"lengths \[.*{length}.*\], wanted 0 to", inputs | {"lengths": lengths}


def assert_the_wrong_one_alone_is_nan(found: Tensor, inputs: Inputs, page_size: int) -> None:
    assert found[2].isnan().all()
    right = gathered_decode(**inputs, page_size=page_size, scale=0.3)
    assert torch.allclose(found[[0, 1, 3]], right[[0, 1, 3]], atol=1e-6)  # two orders of summation in float32


def test_a_page_that_cannot_be_is_refused_here_and_no_number_elsewhere() -> None:
    inputs = scattered(SIZES[1])
    for said, asked in wrong(inputs, 5):
        with pytest.raises(ShapeError, match=said):
            paged_decode(**asked, page_size=5)
        assert_the_wrong_one_alone_is_nan(gathered_decode(**asked, page_size=5, scale=0.3), inputs, 5)


# --- a page table -----------------------------------------------------------------------------------------------------


def test_a_page_table_holds_filled_pages_and_no_spare_ones() -> None:
    cache = PagedKVCache(2, 1, 12, 4, page_size=4)
    cache.append(torch.zeros(2, 1, 5, 4), torch.zeros(2, 1, 5, 4))
    table, lengths = page_tables(cache.pager, cache.sequences)
    assert (table.dtype, lengths.dtype) == (torch.int32, torch.int32)
    assert table.tolist() == [list(cache.pager.pages(sequence)[:2]) for sequence in cache.sequences]
    assert lengths.tolist() == [5, 5]
    assert [t.shape for t in page_tables(cache.pager, ())] == [(0, 0), (0,)]
    with pytest.raises(ShapeError, match="sequence 99"):
        page_tables(cache.pager, (99,))


# --- the kernels ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("B", "room", "spans"), [(1, 3 * SPAN + 1, 4), (1, SPAN, 1), (1, 0, 1), (BLOCKS, 4 * SPAN, 1)])
def test_spans_are_as_many_as_fill_a_device_and_cover_every_position(B, room, spans) -> None:
    seen = {}

    def record(*inputs, page_size, span, scale) -> None:
        outs, lses = inputs[5:]
        seen.update(count=len(outs), span=span)
        outs.zero_()
        lses.zero_()

    arena = torch.zeros(1, 8, 4)
    table, lengths = torch.zeros(B, room, dtype=torch.int32), torch.zeros(B, dtype=torch.int32)
    in_spans(record, torch.zeros(B, 2, 4), arena, arena, table, lengths, 1, 1.0)
    assert seen["count"] == spans
    assert seen["span"] * spans >= room


def test_a_kernel_has_no_float64() -> None:
    inputs = scattered(SIZES[0], torch.float64)
    with pytest.raises(Unsupported, match="float64"):
        in_spans(print, *inputs.values(), 4, 1.0)


NO_TRITON = "triton is not installed: pip install -e '.[kernels]'"
INTERPRETED = """
import sys, torch
from attention.kernels.paged_decode import in_spans
from attention.kernels.paged_triton import attend_spans
torch.save([in_spans(attend_spans, *case) for case in torch.load(sys.argv[1])], sys.argv[2])
"""


def test_the_cuda_kernel_gives_what_the_plain_form_gives(tmp_path) -> None:
    """In Triton's interpreter, and a process of its own: it must be chosen before triton is imported."""
    pytest.importorskip("triton", reason=NO_TRITON)
    right = scattered(SIZES[2], held=SHORT)
    cases = [(scattered(SIZES[1]), 5, 0.3), (scattered(SIZES[2], torch.float16), 1, 0.3)]
    broken = [(asked, 1, 0.3) for _, asked in wrong(right, 1)]
    given, results = tmp_path / "given.pt", tmp_path / "results.pt"
    torch.save([(*inputs.values(), page_size, scale) for inputs, page_size, scale in (*cases, *broken)], given)
    command = [sys.executable, "-W", "ignore", "-c", INTERPRETED, str(given), str(results)]
    subprocess.run(command, env=os.environ | {"TRITON_INTERPRET": "1"}, cwd=ROOT, check=True)
    found = torch.load(results)
    for result, (inputs, page_size, scale) in zip(found[: len(cases)], cases, strict=True):
        assert result.dtype == inputs["q"].dtype
        assert_near(result, inputs, page_size, scale)
    for result in found[len(cases) :]:
        assert_the_wrong_one_alone_is_nan(result, right, 1)


@pytest.mark.skipif(sys.platform != "linux", reason="Triton's assembler is for Linux")
def test_the_cuda_kernel_compiles_for_a_device_that_is_not_there(tmp_path, monkeypatch) -> None:
    """What the interpreter does not ask: that a loop keeps its types, that products have shapes a device has."""
    triton = pytest.importorskip("triton", reason=NO_TRITON)
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from attention.kernels import paged_triton

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    floats, whole = ("q", "k_arena", "v_arena"), ("page_table", "lengths")
    kinds = {"*bf16": floats, "*i32": whole, "*fp32": ("outs", "lses"), "fp32": ("scale",)}
    kinds["i32"] = ("slots", "table_width", "batch", "span")
    sizes = {"page_size": 5, "heads": 2, "group": 3, "width": 24, "value_width": 40}
    sizes |= {"ROWS": 16, "WIDTH": 32, "VALUE_WIDTH": 64, "BLOCK": 64}
    kind = {name: kind for kind, names in kinds.items() for name in names} | dict.fromkeys(sizes, "constexpr")
    names = paged_triton._spans.arg_names
    source = ASTSource(
        paged_triton._spans, {name: kind[name] for name in names}, {(names.index(n),): sizes[n] for n in sizes}
    )
    assert triton.compile(source, target=GPUTarget("cuda", 90, 32)).asm["cubin"]


#: What Metal has and C++ has not, one lane to a group; and the grid as loops.
AS_CPP = """
#include <algorithm>
#include <cmath>
using std::exp, std::log, std::max, std::min;
struct uint3 { unsigned x, y, z; };
#define kernel static
#define device
#define constant const
static float simd_sum(float x) { return x; }
"""
GRID = """
extern "C" void run(
    const float* q, const float* k, const float* v, const int* table, const int* lengths, float* outs, float* lses,
    float scale, long slots, long width, long batch, long span, unsigned rows, unsigned spans) {
  for (unsigned n = 0; n < spans; ++n)
    for (unsigned y = 0; y < rows; ++y)
      paged_spans(q, k, v, table, lengths, outs, lses, scale, slots, width, batch, span, uint3{0, y, n});
}
"""


@pytest.fixture
def metal_kernel(monkeypatch: pytest.MonkeyPatch, tmp_path) -> ModuleType:
    """The MPS kernel and its launch, the kernel's text compiled as C++."""
    compiler = shutil.which("c++")
    if compiler is None:
        pytest.skip("no C++ compiler: apt-get install g++, or xcode-select --install")

    @cache
    def compiled(text: str) -> Callable[..., None]:
        library = tmp_path / "kernel.so"
        source = AS_CPP + text.replace("#define LANES 32", "#define LANES 1") + GRID
        command = [compiler, "-std=c++17", "-O1", "-w", "-shared", "-fPIC", "-x", "c++", "-", "-o", str(library)]
        subprocess.run(command, input=source, text=True, check=True)
        run = ctypes.CDLL(str(library)).run

        def call(*arguments, threads, group_size) -> None:
            assert threads[0] == 32
            assert group_size == (32, 1, 1)
            kinds = {Tensor: lambda t: ctypes.c_void_p(t.data_ptr()), float: ctypes.c_float, int: ctypes.c_long}
            run(*(kinds[type(each)](each) for each in arguments), *(ctypes.c_uint(n) for n in threads[1:]))

        return call

    monkeypatch.setattr(paged_metal, "_compiled", compiled)
    return paged_metal


@every_size
def test_the_mps_kernel_gives_what_the_plain_form_gives(size, metal_kernel) -> None:
    inputs = scattered(size)
    found = in_spans(metal_kernel.attend_spans, *inputs.values(), size[-1], 0.3)
    assert_near(found, inputs, size[-1], 0.3)


@pytest.mark.parametrize("held", [SHORT, LENGTHS], ids=["one span", "spans"])
def test_the_mps_kernel_makes_no_number_of_a_page_that_cannot_be(held, metal_kernel) -> None:
    inputs = scattered(SIZES[1], held=held)
    for _, asked in wrong(inputs, 5):
        found = in_spans(metal_kernel.attend_spans, *asked.values(), 5, 0.3)
        assert_the_wrong_one_alone_is_nan(found, inputs, 5)
