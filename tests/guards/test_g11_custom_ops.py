"""G11: an operator of our own keeps its contract with PyTorch, and gives what the formula gives."""

import pytest
import torch

GUARD = "G11"
COVERS = r"\w+\.PagedDecode\.\w+"
CONTRACT = ("test_schema", "test_autograd_registration", "test_faketensor", "test_aot_dispatch_dynamic")
#: Hq, Hkv, D, Dv, page size; then tokens of each sequence: none, one, a whole page, several spans of a device's kernel.
SIZES = ((4, 4, 16, 16, 16), (6, 2, 24, 40, 5), (8, 1, 64, 64, 64))
LENGTHS = (0, 1, 64, 700, 37)


@pytest.fixture
def operator(member):
    member("paged_decode")
    return torch.ops.attention.paged_decode.default


def paged(size, dtype, device):
    """The operator's inputs, every sequence's pages scattered among slots of NaN, and the sequences whole."""
    Hq, Hkv, D, Dv, page_size = size
    generator = torch.Generator().manual_seed(sum(size))
    counts = [-(-length // page_size) for length in LENGTHS]
    order = torch.randperm(2 * sum(counts), generator=generator)
    table = torch.zeros(len(LENGTHS), max(counts), dtype=torch.int32)
    arenas = [torch.full((Hkv, len(order) * page_size, n), torch.nan) for n in (D, Dv)]
    sequences = []
    for row, length, pages in zip(table, LENGTHS, torch.split(order[: sum(counts)], counts), strict=True):
        row[: len(pages)] = pages
        slots = (pages[:, None] * page_size + torch.arange(page_size)).flatten()[:length]
        held = [torch.randn(Hkv, length, n, generator=generator).to(getattr(torch, dtype)) for n in (D, Dv)]
        for arena, values in zip(arenas, held, strict=True):
            arena[:, slots] = values.float()
        sequences.append(held)
    q = torch.randn(len(LENGTHS), Hq, D, generator=generator)
    q, *arenas = (t.to(getattr(torch, dtype)).to(device) for t in (q, *arenas))
    lengths = torch.tensor(LENGTHS, dtype=torch.int32)
    return (q, *arenas, table.to(device), lengths.to(device), page_size, D**-0.5), sequences


@pytest.mark.parametrize("size", SIZES[:2], ids=lambda size: "x".join(map(str, size)))
def test_the_operator_keeps_its_contract(size, device, operator):
    if device == "mps":
        pytest.skip("not applicable: torch.library.opcheck does not know MPS")
    inputs, _ = paged(size, "float32", device)
    assert torch.library.opcheck(operator, inputs) == dict.fromkeys(CONTRACT, "SUCCESS")
    learning = (inputs[0].requires_grad_(), *inputs[1:])
    torch.library.opcheck(operator, learning, test_utils="test_autograd_registration")


@pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))
def test_it_gives_what_the_formula_gives(size, dtype, device, operator, within, oracle, floor):
    inputs, sequences = paged(size, dtype, device)
    results = operator(*inputs)
    group = size[0] // size[1]
    for result, q, (k, v) in zip(results, inputs[0], sequences, strict=True):
        if k.shape[1] == 0:
            assert (result == 0).all()
            continue
        q, k, v = q[None, :, None], *(t.repeat_interleave(group, dim=0)[None].to(device) for t in (k, v))
        exact = oracle(*(t.cpu().double() for t in (q, k, v)), is_causal=False)
        within(result[None, :, None], exact, floor(q, k, v, is_causal=False))
