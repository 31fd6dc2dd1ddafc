"""Beside its peers: the same work, checked before it is timed; what is missing and what is wrong is said."""

from dataclasses import replace

import pytest
from torch.autograd.profiler import profile

from benchmarks import best, hands, peers
from benchmarks.hands import Hand, Hands, Missing
from benchmarks.peers import Cell, Row
from benchmarks.turns import ResultsDiffer


def small(*, causal: bool = False) -> Hands:
    return hands.self_attention(2, 6, 16, 2, causal=causal)


def cell(build: object, work: str = "self attention") -> Cell:
    return Cell(work, "small", "MultiHeadAttention", build)


def operators(hand: Hand) -> set[str]:
    with profile() as recording:
        hand()
    return {event.name for event in recording.function_events}


@pytest.mark.parametrize("causal", [False, True])
def test_torchs_module_and_ours_agree_on_the_same_weights(causal: bool) -> None:
    peers.check(small(causal=causal))


def test_the_fast_path_is_taken_where_the_row_says_so_and_nowhere_else() -> None:
    taken = {name: "aten::_native_multi_head_attention" in operators(hand) for name, hand in small().peers.items()}
    assert taken == {"nn.MultiheadAttention, fast path": True, "nn.MultiheadAttention": False}


def test_a_decode_step_leaves_the_cache_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hands, "_transformers_steps", lambda *_, **__: {})
    step = hands.decode_step(4, 2, 8, 5)
    for _ in range(3):
        peers.check(step)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda right: right + 1e-4, "from float64, allowed"),
        (lambda right: right * float("nan"), "nan from float64"),
        (lambda right: right[:1], r"gives \[1, 6, 16\], wanted \[2, 6, 16\]"),
    ],
)
def test_a_wrong_result_is_no_row(spoil, said, monkeypatch, capsys) -> None:
    def build() -> Hands:
        right = small()
        return replace(right, peers={**right.peers, "spoiled": lambda: spoil(right.plain())})

    with pytest.raises(ResultsDiffer, match=said):
        peers.compare(cell(build), rounds=1)
    monkeypatch.setattr(peers, "cells", lambda: iter([cell(build)]))
    assert peers.main([]) == 1
    told = capsys.readouterr()
    assert "WRONG RESULT, not timed: self attention, small: spoiled" in told.err
    assert "| self attention" not in told.out


def test_a_missing_peer_is_told_and_the_other_cells_go_on(monkeypatch, capsys) -> None:
    def absent(name: str) -> object:
        raise ImportError(name)

    monkeypatch.setattr(hands, "import_module", absent)
    monkeypatch.setattr(
        peers, "cells", lambda: iter([cell(lambda: hands.decode_step(4, 2, 8, 5), "decode step"), cell(small)])
    )
    assert peers.main(["--rounds", "1"]) == 0
    told = capsys.readouterr()
    assert "LEFT OUT: decode step, small: transformers is not installed: pip install -e '.[peers]'" in told.out
    assert told.out.count("| self attention | small |") == 2
    assert "2 of 2  self attention, small" in told.err


def test_without_a_compiler_flex_attention_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(Missing, match="there is no no-such-compiler"):
        hands.local_attention(64, 8)


def test_a_row_is_the_peers_time_over_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    several = small()
    times = {several.ours: 2.0, several.plain: 3.0}
    monkeypatch.setattr(best, "seconds", lambda hand: times[hand])
    (row,) = peers.compare(cell(lambda: replace(several, peers={"plain": several.plain})), rounds=3)
    assert (row.peer, row.ours_seconds, row.peer_seconds, row.speedup) == ("plain", 2.0, 3.0, 1.5)


def test_the_table_names_the_cells_where_a_peer_is_ahead() -> None:
    ahead, behind = Row(cell(small), "one", 0.001, 0.002), Row(cell(small), "other", 0.002, 0.001)
    assert "| self attention | small | MultiHeadAttention | 1.000 | one | 2.000 | 2.00x |" in peers.table([ahead])
    assert peers.table([ahead]).endswith("Behind no peer that was here.")
    assert peers.table([ahead, behind]).endswith("Behind self attention, small: other (0.50x).")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["nonsense"], "no cell has nonsense; there are: self attention"), (["--rounds", "0"], ">= 1")],
)
def test_a_wrong_call_says_what_there_is(arguments, said, capsys) -> None:
    with pytest.raises(SystemExit, match="2"):
        peers.main(arguments)
    assert said in capsys.readouterr().err


def test_transformers_agrees_step_after_step() -> None:
    pytest.importorskip("transformers", reason="pip install -e '.[peers]'")
    step = hands.decode_step(4, 2, 8, 5)
    for _ in range(3):
        peers.check(step)


@pytest.mark.long
def test_compiled_flex_attention_agrees() -> None:
    peers.check(hands.local_attention(256, 64))
