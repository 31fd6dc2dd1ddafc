"""Train autoencoders on the recall task: `python -m attention.training --epochs 1 --validate`.

One line a model goes to stdout: seconds of training, the last step's loss, the cosine on unseen batches. Progress goes
to stderr. Exit codes: 0 good, 2 bad input, 130 stopped by Ctrl-C.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from time import perf_counter
from typing import cast

import torch
from torch import nn
from torch.amp import GradScaler

from attention.autoencoder import RNNAutoencoder
from attention.errors import ShapeError, Unsupported
from attention.presets import PRESETS, WIDTH
from attention.registry import DEVICES
from attention.training.recall import RecallTask, evaluate_cosine, recall_step

TASK = RecallTask(batch=32, length=16, feature_size=8)
#: Room for twice what a sequence has in common, and for an eighth of all of it.
BOTTLENECK = 16
LEARNING_RATE = 3e-3
VALIDATION_BATCHES = 8
REPORTS = 5  #: of an epoch, or nearly so


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line. Returns the exit code; what argparse refuses ends in SystemExit(2)."""
    chosen = _parser().parse_args(arguments)
    try:
        _say(f"{'model':<15}  seconds    loss" + "  cosine" * chosen.validate)
        for name, build in _models(chosen.preset, baseline=chosen.baseline):
            torch.manual_seed(chosen.seed)
            model = build().to(chosen.device)
            seconds, loss = _train(name, model, chosen)
            line = f"{name:<15}  {seconds:7.1f}  {loss:6.4f}"
            if chosen.validate:
                # Seeds of training are not negative: none of these batches was seen.
                unseen = TASK.batches(VALIDATION_BATCHES, seed=-1 - chosen.seed, device=chosen.device)
                line += f"  {evaluate_cosine(model, unseen).item():6.3f}"
            _say(line)
    except (ShapeError, Unsupported) as error:
        _note(f"python -m attention.training: {error}")
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def _models(chosen: str, *, baseline: bool) -> Iterator[tuple[str, Callable[[], nn.Module]]]:
    for each in PRESETS:
        if chosen in (each.name, "all"):
            yield each.name, partial(each.autoencoder, TASK.feature_size, BOTTLENECK, max_length=TASK.length)
    if baseline:
        yield "rnn", partial(RNNAutoencoder, TASK.feature_size, WIDTH, BOTTLENECK, max_length=TASK.length)


def _train(name: str, model: nn.Module, chosen: argparse.Namespace) -> tuple[float, float]:
    """Seconds of all epochs, and the last step's loss."""
    half = torch.float16 if chosen.device == "cuda" else torch.bfloat16
    amp = half if chosen.amp else None
    scaler = GradScaler(chosen.device) if amp == torch.float16 else None
    if chosen.compile:
        model = _compiled(name, model, chosen.device, amp, scaler)
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    started, loss = perf_counter(), torch.zeros(())
    for step, x in enumerate(TASK.batches(chosen.epochs * chosen.steps, seed=chosen.seed, device=chosen.device)):
        loss, cosine = recall_step(model, optimizer, x, amp=amp, scaler=scaler)
        epoch, done = step // chosen.steps + 1, step % chosen.steps + 1
        if done % max(1, chosen.steps // REPORTS) == 0:
            at = f"epoch {epoch} of {chosen.epochs}, step {done} of {chosen.steps}"
            _note(f"{name}: {at}, loss {loss.item():.4f}, cosine {cosine.item():.3f}")
    last = loss.item()  # waits for the device
    return perf_counter() - started, last


def _compiled(
    name: str, model: nn.Module, device: str, amp: torch.dtype | None, scaler: GradScaler | None
) -> nn.Module:
    """Compile by a step that moves nothing, so that the seconds of training hold no seconds of compiling."""
    started = perf_counter()
    compiled = cast(nn.Module, torch.compile(model))
    still = torch.optim.SGD(model.parameters(), lr=0.0)
    try:
        for x in TASK.batches(1, seed=0, device=device):
            recall_step(compiled, still, x, amp=amp, scaler=scaler)
    except RuntimeError as error:
        first, *_ = str(error).splitlines() or [type(error).__name__]
        raise Unsupported(f"--compile: {first}") from error
    _note(f"{name}: compiled in {perf_counter() - started:.1f} s")
    return compiled


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m attention.training",
        description="Train autoencoders to give back sequences of random vectors, and say how well they do.",
    )
    names = [each.name for each in PRESETS]
    parser.add_argument("--preset", choices=[*names, "all"], default="balanced", help="default: %(default)s")
    parser.add_argument("--baseline", action="store_true", help="train the recurrent network without attention, too")
    parser.add_argument("--epochs", type=_whole(1), default=1, help="default: %(default)s")
    parser.add_argument("--steps", type=_whole(1), default=150, help="of an epoch; default: %(default)s")
    parser.add_argument("--validate", action="store_true", help="print the cosine on batches not trained on")
    parser.add_argument("--seed", type=_whole(0), default=0, help="of weights and batches; default: %(default)s")
    parser.add_argument("--device", type=_device, default="cpu", help=f"{', '.join(DEVICES)}; default: %(default)s")
    parser.add_argument("--amp", action="store_true", help="autocast: float16 with a scaler on cuda, else bfloat16")
    parser.add_argument("--compile", action="store_true", help="run the model through torch.compile")
    return parser


def _whole(lowest: int, highest: int = 2**31 - 1) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.lstrip("-").isdecimal() or not lowest <= int(text) <= highest:
            raise argparse.ArgumentTypeError(f"{text!r}, wanted a whole number from {lowest} to {highest}")
        return int(text)

    return number


def _device(text: str) -> str:
    if text not in DEVICES:
        raise argparse.ArgumentTypeError(f"{text!r}, wanted one of {', '.join(DEVICES)}")
    if text != "cpu" and not torch.get_device_module(text).is_available():
        raise argparse.ArgumentTypeError(f"this machine has no {text} device")
    return text


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _note(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
