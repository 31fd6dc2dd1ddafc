"""G10: a compiled form is one graph, compiled again at most once for other lengths, and as exact as the plain one.

A night's work: the compiler alone takes seconds to import. The graph is run as it was captured, which needs no compiler
for the machine, and as generated code.
"""

import os
import shutil
from copy import deepcopy
from functools import partial

import pytest
import torch

pytestmark = pytest.mark.long
GUARD = "G10"
LENGTHS = (16, 24, 40)


@pytest.fixture(params=["eager", "inductor"])
def judge(request, device, draw, within, allowed):
    """Compile a form and hold it to itself in float64 at each length (G1 holds that to the oracle)."""
    if request.param == "inductor" and device == "cpu" and shutil.which(os.environ.get("CXX", "g++")) is None:
        pytest.skip("this machine has no C++ compiler")

    def judged(form, shapes, *, wide=None):
        from torch._dynamo.utils import counters  # the compiler takes seconds to import: not while tests are collected

        torch._dynamo.reset()
        counters.clear()
        compiled = torch.compile(form, fullgraph=True, backend=request.param)
        for L in LENGTHS:
            inputs = draw(*shapes(L))
            exact = (wide or form)(*(t.cpu().double() for t in inputs))
            within(compiled(*inputs), exact, allowed(form(*inputs), exact))
        # One for the first length as it is, one for any length.
        assert counters["stats"]["unique_graphs"] <= 2

    return judged


@pytest.mark.parametrize("kernel", ["sdpa", "naive", "masked", "chunked", "checkpointed", "repeated_kv", "grouped"])
def test_a_kernel(kernel, build, judge):
    judge(partial(build("kernel", kernel), is_causal=True), lambda L: [(2, 3, L, 16)] * 3)


@pytest.mark.parametrize("sharing", ["grouped", "sdpa", "repeated_kv"])
def test_one_query_beside_shared_key_heads(sharing, build, judge):
    judge(build("sharing", sharing), lambda S: [(2, 6, 1, 16), (2, 2, S, 16), (2, 2, S, 16)])


@pytest.mark.parametrize("local", ["masked", "blocked"])
def test_a_local_kernel(local, sparse, judge):
    judge(sparse("local", local, 1, 8)[0], lambda L: [(2, 6, L, 16), (2, 3, L, 16), (2, 3, L, 16)])


@pytest.mark.parametrize("strided", ["masked", "regrouped"])
def test_a_strided_kernel(strided, sparse, judge):
    judge(sparse("strided", strided, 1, 8)[0], lambda L: [(2, 6, L, 16), (2, 3, L, 16), (2, 3, L, 16)])


@pytest.mark.parametrize("head", ["plain", "stored_scale", "cached", "fused", "sdpa"])
def test_a_head(head, device, build, judge):
    layer = build("head", head)(24, 16).requires_grad_(False)
    judge(deepcopy(layer).to(device), lambda L: [(2, L, 24)], wide=layer.double())


@pytest.mark.parametrize("projection", ["fused", "separate"])
def test_a_projection(projection, device, build, judge):
    layer = build("projection", projection)(24, 6, num_kv_heads=2).requires_grad_(False)
    judge(deepcopy(layer).to(device), lambda L: [(2, L, 24)], wide=layer.double())


@pytest.mark.parametrize("rotary", ["complex", "recomputed", "stack", "half_split"])
def test_a_rotary_embedding(rotary, device, build, judge):
    layer = build("rotary", rotary)(16, max_length=64)
    judge(deepcopy(layer).to(device), lambda L: [(2, 3, L, 16)], wide=layer)
