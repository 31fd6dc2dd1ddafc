"""A small student learns from a large teacher: what it says, where its states point, what its attention gives.

Axes: b batch, l positions, v vocabulary.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from attention.errors import ShapeError
from attention.recurrent import check_alike
from attention.training.language import check_tokens

Pair = tuple[Tensor, Tensor]  #: the student's tensor and the teacher's, of equal shape


@dataclass(frozen=True, slots=True)
class Distillation:
    """How much each part of the loss counts; a part that is given no tensors counts nothing."""

    temperature: float = 2.0
    soft: float = 1.0  #: divergence from the teacher's softened probabilities
    hidden: float = 1.0  #: one minus the cosine of hidden states
    attention: float = 1.0  #: mean squared difference of attention outputs
    hard: float = 0.5  #: cross-entropy with the true targets, in `distill_step`

    def __post_init__(self) -> None:
        weights = (self.soft, self.hidden, self.attention, self.hard)
        if not (self.temperature > 0 and all(weight >= 0 for weight in weights)):
            raise ShapeError(f"{self}: wanted temperature > 0 and weights >= 0")


def distillation_loss(
    logits: Pair, *, hidden: Pair | None = None, attention: Pair | None = None, how: Distillation | None = None
) -> Tensor:
    """Sum, by weight, of T² KL(teacher || student) at temperature T, 1 - cosine of hidden states, MSE of attention.

    T² keeps the gradient's size when the temperature moves. The teacher's tensors are constants. Each part is a mean
    over positions.

    Shapes: logits [..., V]; hidden, attention [..., C]; student and teacher alike; result a scalar.
    Memory: four tensors as the logits, two as the attention outputs.
    Raises: ShapeError when the student's shape, dtype or device is not the teacher's, or there is nothing to compare.
    Source: Hinton et al. 2015, arXiv:1503.02531, section 2; Sanh et al. 2019, arXiv:1910.01108; seed 001.
    """
    how = Distillation() if how is None else how
    student, teacher = _constant_teacher("logits", logits)
    wanted = F.log_softmax(teacher / how.temperature, dim=-1)
    said = F.log_softmax(student / how.temperature, dim=-1)
    divergence = F.kl_div(said, wanted, reduction="none", log_target=True).sum(dim=-1).mean()
    loss = how.soft * how.temperature**2 * divergence
    if hidden is not None:
        student, teacher = _constant_teacher("hidden", hidden)
        loss = loss + how.hidden * (1.0 - F.cosine_similarity(student, teacher, dim=-1).mean())
    if attention is not None:
        student, teacher = _constant_teacher("attention", attention)
        loss = loss + how.attention * F.mse_loss(student, teacher)
    return loss


def distill_step(
    student: nn.Module,
    teacher: nn.Module,
    optimizer: torch.optim.Optimizer,
    tokens: Tensor,
    targets: Tensor,
    *,
    hidden: tuple[str, str] | None = None,
    attention: tuple[str, str] | None = None,
    how: Distillation | None = None,
) -> Tensor:
    """One update of the student towards teacher and targets. Returns the loss on its device, without gradient.

    `hidden` and `attention` name a submodule of the student and one of the teacher, whose results are compared; a
    student of another width needs a projection of its own there. The teacher is run as it is: put it into eval mode.

    Shapes: tokens, targets [B, L], int64. Memory: as a train step, and the teacher's results; it keeps no graph.
    Cost: three forwards of the student, one of the teacher, and the update.
    Raises: ShapeError when shapes, dtypes or devices differ, or a model calls no submodule of that name for a tensor.
    Source: seed 001, "model distillation".
    """
    check_tokens("distill_step", tokens, targets)
    how = Distillation() if how is None else how
    pairs = [pair for pair in (hidden, attention) if pair is not None]
    optimizer.zero_grad(set_to_none=True)
    with torch.no_grad(), _results(teacher, [name for _, name in pairs]) as of_teacher:
        taught = teacher(tokens)
    with _results(student, [name for name, _ in pairs]) as of_student:
        said = student(tokens)

    def compared(names: tuple[str, str] | None) -> Pair | None:
        return None if names is None else (of_student[names[0]], of_teacher[names[1]])

    loss = distillation_loss((said, taught), hidden=compared(hidden), attention=compared(attention), how=how)
    loss = loss + how.hard * F.cross_entropy(said.flatten(0, 1), targets.flatten())
    torch.autograd.backward(loss)
    optimizer.step()
    return loss.detach()


def _constant_teacher(name: str, pair: Pair) -> Pair:
    student, teacher = pair
    if student.shape != teacher.shape or not student.numel():
        met = f"student {list(student.shape)}, teacher {list(teacher.shape)}"
        raise ShapeError(f"distillation_loss: {name} of {met}, wanted equal shapes, not empty")
    check_alike(f"distillation_loss: {name}", student=student, teacher=teacher)
    return student, teacher.detach()


@contextmanager
def _results(model: nn.Module, names: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """What the named submodules return while the block runs."""
    kept: dict[str, Tensor] = {}
    modules = dict(model.named_modules())
    missing = [name for name in names if name not in modules]
    if missing:
        raise ShapeError(f"distill_step: {type(model).__name__} has no submodule {', '.join(missing)}")

    def keep(name: str) -> RemovableHandle:
        def hook(_module: nn.Module, _args: object, result: object) -> None:
            if not isinstance(result, Tensor):
                raise ShapeError(f"distill_step: {name} returns a {type(result).__name__}, wanted a tensor")
            kept[name] = result

        handle: RemovableHandle = modules[name].register_forward_hook(hook)
        return handle

    handles = [keep(name) for name in names]
    try:
        yield kept
    finally:
        for handle in handles:
            handle.remove()
    if len(kept) < len(set(names)):
        unused = ", ".join(name for name in names if name not in kept)
        raise ShapeError(f"distill_step: {type(model).__name__} does not call {unused}")
