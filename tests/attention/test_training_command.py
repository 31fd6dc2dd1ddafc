"""`python -m attention.training` trains what it is asked to, says how that ended, and refuses what it cannot do."""

import re
import runpy
import sys

import pytest
import torch

from attention.presets import PRESETS
from attention.training.__main__ import TASK, main
from attention.training.recall import recall_step

SHORT = ["--epochs", "2", "--steps", "2"]
NAMES = [each.name for each in PRESETS]


def rows(output: str) -> list[list[str]]:
    return [line.split() for line in output.splitlines()]


def test_a_module_is_run_from_the_command_line(monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["attention.training", "--epochs", "1", "--steps", "2", "--validate"])
    monkeypatch.delitem(sys.modules, "attention.training.__main__")
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("attention.training", run_name="__main__", alter_sys=True)
    assert ended.value.code == 0
    out, err = capsys.readouterr()
    head, line = rows(out)
    assert head == ["model", "seconds", "loss", "cosine"]
    assert line[0] == "balanced"
    assert all(re.fullmatch(r"-?\d+\.\d+", number) for number in line[1:])
    assert err.splitlines()[-1].startswith("balanced: epoch 1 of 1, step 2 of 2, loss ")


def test_every_preset_and_the_baseline_get_a_line_and_progress_its_own_stream(capsys) -> None:
    assert main([*SHORT, "--preset", "all", "--baseline"]) == 0
    out, err = capsys.readouterr()
    assert [row[0] for row in rows(out)] == ["model", *NAMES, "rnn"]
    assert all(len(row) == 3 for row in rows(out))
    assert [line.split(",")[0] for line in err.splitlines() if "step 2 of 2" in line] == [
        f"{name}: epoch {epoch} of 2" for name in [*NAMES, "rnn"] for epoch in (1, 2)
    ]


def test_a_seed_gives_its_numbers(capsys) -> None:
    def losses(seed: str) -> list[str]:
        assert main([*SHORT, "--validate", "--seed", seed]) == 0
        return [number for row in rows(capsys.readouterr().out)[1:] for number in row[2:]]

    assert losses("1") == losses("1") != losses("2")


def test_validation_is_on_batches_that_training_did_not_see(capsys, monkeypatch) -> None:
    seeds = []
    batches = type(TASK).batches
    monkeypatch.setattr(
        type(TASK), "batches", lambda *a, seed, **k: (seeds.append(seed), batches(*a, seed=seed, **k))[1]
    )
    assert main([*SHORT, "--validate", "--seed", "7"]) == 0
    assert len(set(seeds)) == len(seeds) == 2


def test_autocast_on_a_cpu_is_bfloat16_without_a_scaler(monkeypatch) -> None:
    seen = []

    def step(*args, amp, scaler):
        seen.append((amp, scaler))
        return recall_step(*args, amp=amp, scaler=scaler)

    monkeypatch.setattr("attention.training.__main__.recall_step", step)
    assert main([*SHORT, "--amp"]) == 0
    assert seen == [(torch.bfloat16, None)] * 4


def test_what_cannot_be_compiled_is_told_in_a_line(capsys, monkeypatch) -> None:
    def no_compiler(_x):
        raise RuntimeError("No working C++ compiler found\nand a long trace")

    monkeypatch.setattr(torch, "compile", lambda _model: no_compiler)
    assert main([*SHORT, "--compile"]) == 2
    assert capsys.readouterr().err.endswith("attention.training: --compile: No working C++ compiler found\n")


def test_compiling_moves_no_weight(capsys, monkeypatch) -> None:
    """A compiler that changes nothing: the numbers are those of a run without it."""
    assert main([*SHORT]) == 0
    plain = rows(capsys.readouterr().out)[1]
    monkeypatch.setattr(torch, "compile", lambda model: model)
    assert main([*SHORT, "--compile"]) == 0
    out, err = capsys.readouterr()
    assert rows(out)[1][2] == plain[2]
    assert err.startswith("balanced: compiled in ")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["--epochs", "0"], "argument --epochs: '0', wanted a whole number from 1"),
        (["--steps", "many"], "argument --steps: 'many', wanted a whole number"),
        (["--seed", "-1"], "argument --seed: '-1', wanted a whole number from 0"),
        (["--device", "abacus"], "argument --device: 'abacus', wanted one of cpu, mps, cuda"),
        (["--preset", "fast"], "invalid choice: 'fast'"),
    ],
)
def test_what_cannot_be_done_is_named(asked, said, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main(asked)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("device", ["mps", "cuda"])
def test_a_device_that_is_not_there_is_named(device, capsys, monkeypatch) -> None:
    monkeypatch.setattr(torch.get_device_module(device), "is_available", lambda: False)
    with pytest.raises(SystemExit):
        main(["--device", device])
    assert f"this machine has no {device} device" in capsys.readouterr().err


def test_help_tells_of_every_switch(capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    for switch in ("preset", "baseline", "epochs", "steps", "validate", "seed", "device", "amp", "compile"):
        assert f"--{switch} " in told


def test_ctrl_c_ends_it_quietly(monkeypatch) -> None:
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("attention.training.__main__.recall_step", interrupted)
    assert main(SHORT) == 130
