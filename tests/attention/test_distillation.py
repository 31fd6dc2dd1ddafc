"""A student is pulled towards its teacher by a loss that is its formula, and the teacher stays as it is."""

import pytest
import torch
import torch.nn.functional as F

from attention import ShapeError, TransformerLM, synthetic_batch
from attention.distillation import Distillation, distill_step, distillation_loss

ALONE = Distillation(temperature=3.0, soft=1.0, hidden=1.0, attention=1.0, hard=0.0)


def pair(*shape: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    student, teacher = torch.randn(2, *shape, generator=generator, dtype=torch.float64).unbind()
    return student.clone().requires_grad_(), teacher.clone().requires_grad_()


def models() -> tuple[TransformerLM, TransformerLM]:
    torch.manual_seed(0)
    return TransformerLM(32, 16, 1, max_length=16), TransformerLM(32, 16, 3, max_length=16)


class Twice(torch.nn.Module):
    """Returns a pair, as a recurrent layer does."""

    def __init__(self, inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.inner(x), x


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_the_soft_part_and_its_gradient_are_their_formulas(temperature) -> None:
    student, teacher = pair(2, 5, 7)
    loss = distillation_loss((student, teacher), how=Distillation(temperature=temperature))
    p, q = ((t / temperature).exp() for t in (teacher, student))
    p, q = p / p.sum(-1, keepdim=True), q / q.sum(-1, keepdim=True)
    expected = temperature**2 * (p * (p / q).log()).sum(-1).mean()
    (gradient,) = torch.autograd.grad(loss, student)
    # d/ds of T² KL is T (q - p), a mean over 2 x 5 positions; float64, a few dozen roundings.
    assert abs(loss - expected) <= 1e-12
    assert (gradient - temperature * (q - p) / 10).abs().max() <= 1e-12


def test_all_parts_together_have_the_gradients_of_the_written_formula() -> None:
    logits, hidden, attention = pair(2, 5, 7), pair(2, 5, 6, seed=1), pair(2, 5, 4, seed=2)
    how = Distillation(temperature=2.0, soft=0.5, hidden=0.25, attention=4.0)
    loss = distillation_loss(logits, hidden=hidden, attention=attention, how=how)
    p = (logits[1] / 2).softmax(-1).detach()
    soft = 4 * (p * (p.log() - (logits[0] / 2).softmax(-1).log())).sum(-1).mean()
    a, b = hidden[0], hidden[1].detach()
    cosine = ((a * b).sum(-1) / (a.square().sum(-1) * b.square().sum(-1)).sqrt()).mean()
    difference = (attention[0] - attention[1].detach()).square().mean()
    expected = 0.5 * soft + 0.25 * (1 - cosine) + 4.0 * difference
    students = (logits[0], hidden[0], attention[0])
    assert abs(loss - expected) <= 1e-12
    for one, other in zip(torch.autograd.grad(loss, students), torch.autograd.grad(expected, students), strict=True):
        assert (one - other).abs().max() <= 1e-12


def test_a_student_that_is_its_teacher_has_no_loss_and_no_gradient() -> None:
    student, _ = pair(2, 5, 7)
    loss = distillation_loss((student, student), hidden=(student, student), attention=(student, student), how=ALONE)
    (gradient,) = torch.autograd.grad(loss, student)
    assert abs(loss) <= 1e-12
    assert gradient.abs().max() <= 1e-12


def test_the_teacher_gets_no_gradient() -> None:
    student, teacher = pair(2, 5, 7)
    distillation_loss((student, teacher), hidden=(student, teacher), attention=(student, teacher)).backward()
    assert student.grad is not None
    assert teacher.grad is None


def test_thirty_steps_bring_the_student_towards_its_teacher() -> None:
    student, teacher = models()
    before = {name: weight.clone() for name, weight in teacher.state_dict().items()}
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-2)
    batch = synthetic_batch(4, 16, 32)

    def apart() -> float:
        with torch.no_grad():
            return distillation_loss((student(batch[0]), teacher(batch[0]))).item()

    start = apart()
    losses = [
        distill_step(student, teacher, optimizer, *batch, hidden=("norm", "norm"), how=ALONE).item() for _ in range(30)
    ]
    assert apart() < start / 2
    assert losses[-1] < losses[0] / 2
    assert all(torch.equal(weight, before[name]) for name, weight in teacher.state_dict().items())
    assert all(weight.grad is None for weight in teacher.parameters())


def test_a_step_compares_the_submodules_that_it_is_given() -> None:
    student, teacher = models()
    tokens, targets = synthetic_batch(2, 16, 32)
    kept = {}
    for name, module in (("student", student.blocks[0].attention), ("teacher", teacher.blocks[2].attention)):
        module.register_forward_hook(lambda _module, _args, result, name=name: kept.update({name: result.detach()}))
    how = Distillation(soft=0.0, hidden=0.0, attention=1.0, hard=0.5)
    with torch.no_grad():
        hard = F.cross_entropy(student(tokens).flatten(0, 1), targets.flatten())
    optimizer = torch.optim.SGD(student.parameters(), lr=0.1)
    of = ("blocks.0.attention", "blocks.2.attention")
    loss = distill_step(student, teacher, optimizer, tokens, targets, attention=of, how=how)
    expected = (kept["student"] - kept["teacher"]).square().mean() + 0.5 * hard
    assert abs(loss - expected) <= 1e-6  # float32, sums of the same numbers in another order
    assert not any(len(m._forward_hooks) for m in (student.norm, teacher.norm, student.head))
    assert len(student.blocks[0].attention._forward_hooks) == 1  # the test's own: the step took its hook away


def test_a_step_reads_nothing_back() -> None:
    """On the meta device every read of a value raises."""
    student, teacher = (model.to("meta") for model in models())
    tokens = torch.zeros(2, 16, dtype=torch.int64, device="meta")
    optimizer = torch.optim.SGD(student.parameters())
    loss = distill_step(student, teacher, optimizer, tokens, tokens, hidden=("norm", "norm"))
    assert loss.device.type == "meta"
    assert not loss.requires_grad


def test_wrong_input_is_named() -> None:
    student, teacher = models()
    tokens, targets = synthetic_batch(2, 8, 32)
    optimizer = torch.optim.SGD(student.parameters())
    with pytest.raises(ShapeError, match=r"logits of student \[2, 3\], teacher \[2, 4\]"):
        distillation_loss((torch.zeros(2, 3), torch.zeros(2, 4)))
    with pytest.raises(ShapeError, match=r"tokens \[2, 8\], targets \[2, 7\]"):
        distill_step(student, teacher, optimizer, tokens, targets[:, 1:])
    with pytest.raises(ShapeError, match=r"TransformerLM has no submodule blocks\.9"):
        distill_step(student, teacher, optimizer, tokens, targets, hidden=("norm", "blocks.9"))
    with pytest.raises(ShapeError, match=r"temperature=0\.0.*wanted temperature > 0"):
        Distillation(temperature=0.0)
    with pytest.raises(ShapeError, match=r"temperature=nan"):
        Distillation(temperature=float("nan"))
    with pytest.raises(ShapeError, match=r"logits of student \[0, 3\].*not empty"):
        distillation_loss((torch.zeros(0, 3), torch.zeros(0, 3)))
    with pytest.raises(ShapeError, match=r"logits: met student torch\.float32.*teacher torch\.float64"):
        distillation_loss((torch.zeros(2, 3), torch.zeros(2, 3).double()))


def test_a_submodule_without_a_tensor_to_compare_is_named() -> None:
    student, teacher = models()
    batch = synthetic_batch(2, 8, 32)
    optimizer = torch.optim.SGD(student.parameters())
    with pytest.raises(ShapeError, match="TransformerLM does not call blocks"):
        distill_step(student, teacher, optimizer, *batch, hidden=("norm", "blocks"))
    teacher.norm = Twice(teacher.norm)
    with pytest.raises(ShapeError, match="norm returns a tuple, wanted a tensor"):
        distill_step(student, teacher, optimizer, *batch, hidden=("norm", "norm"))
    assert not teacher.norm._forward_hooks
