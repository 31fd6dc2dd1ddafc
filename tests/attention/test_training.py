"""A step changes the weights, reads nothing back, and learns what can be learned; its switches change only how."""

import pytest
import torch
import torch.nn.functional as F

from attention import ShapeError, TransformerLM, Unsupported, synthetic_batch, train_step
from attention.training.recall import RecallTask, cosine_score, evaluate_cosine, recall_step
from attention.training.shares import PARTS, step_shares


def test_the_data_repeats_after_its_first_half() -> None:
    tokens, targets = synthetic_batch(2, 8, 50)
    assert tokens.shape == targets.shape == (2, 8)
    assert torch.equal(tokens[:, 1:], targets[:, :-1])
    assert torch.equal(tokens[:, 5:], tokens[:, :3])


def test_a_seed_gives_its_data() -> None:
    assert torch.equal(synthetic_batch(2, 8, 50, seed=3)[0], synthetic_batch(2, 8, 50, seed=3)[0])
    assert not torch.equal(synthetic_batch(2, 8, 50, seed=3)[0], synthetic_batch(2, 8, 50, seed=4)[0])


def test_thirty_steps_on_one_batch_lower_the_loss() -> None:
    torch.manual_seed(0)
    model = TransformerLM(32, 16, 1, max_length=16)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    batch = synthetic_batch(4, 16, 32)
    losses = [train_step(model, optimizer, *batch).item() for _ in range(30)]
    assert losses[-1] < losses[0] / 2


def test_a_step_waits_for_nothing() -> None:
    """On the meta device every read of a value raises: a step that passes there has no hidden wait for the device."""
    model = TransformerLM(32, 16, 2, max_length=16).to("meta")
    tokens = torch.zeros(4, 16, dtype=torch.int64, device="meta")
    loss = train_step(model, torch.optim.SGD(model.parameters()), tokens, tokens)
    assert loss.device.type == "meta"
    assert not loss.requires_grad


def test_targets_of_another_shape_are_refused() -> None:
    tokens, targets = synthetic_batch(2, 8, 50)
    with pytest.raises(ShapeError, match=r"\[2, 8\].*\[2, 7\]"):
        train_step(torch.nn.Identity(), None, tokens, targets[:, 1:])  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="length=1"):
        synthetic_batch(2, 1, 50)
    with pytest.raises(ShapeError, match=r"tokens \[0, 8\].*not empty"):
        train_step(torch.nn.Identity(), None, tokens[:0], targets[:0])  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match=r"targets torch\.int32 on cpu, wanted int64"):
        train_step(torch.nn.Identity(), None, tokens, targets.int())  # type: ignore[arg-type]


def model_and_optimizer() -> tuple[TransformerLM, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = TransformerLM(32, 16, 1, max_length=16)
    return model, torch.optim.AdamW(model.parameters(), lr=1e-2)


def test_bfloat16_steps_follow_float32_ones() -> None:
    batch = synthetic_batch(4, 16, 32)
    (plain, of_plain), (cast, of_cast) = model_and_optimizer(), model_and_optimizer()
    with torch.autocast("cpu", torch.bfloat16):
        expected = F.cross_entropy(cast(batch[0]).flatten(0, 1), batch[1].flatten())
    losses = [
        (train_step(plain, of_plain, *batch), train_step(cast, of_cast, *batch, amp=torch.bfloat16)) for _ in range(30)
    ]
    assert losses[0][1] == expected
    # A rounding to bfloat16 is at most 2^-9 of a number, and a loss, a mean over 64 positions, is behind ten products:
    # a twentieth of it would be twenty-five roundings, all one way.
    assert all(0 < abs(f32 - bf16) <= 0.05 * f32 for f32, bf16 in losses[:10])
    assert losses[-1][1] < losses[0][1] / 2
    assert all(weight.dtype == torch.float32 for weight in cast.parameters())


@pytest.mark.parametrize("amp", [None, torch.bfloat16])
def test_a_scale_that_is_a_power_of_two_changes_no_bit(amp) -> None:
    batch = synthetic_batch(4, 16, 32)
    (plain, of_plain), (scaled, of_scaled) = model_and_optimizer(), model_and_optimizer()
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    for _ in range(5):
        loss = train_step(plain, of_plain, *batch, amp=amp)
        assert torch.equal(train_step(scaled, of_scaled, *batch, amp=amp, scaler=scaler), loss)
    assert all(torch.equal(*pair) for pair in zip(plain.parameters(), scaled.parameters(), strict=True))


def test_a_step_with_infinite_gradients_is_left_out() -> None:
    model, optimizer = model_and_optimizer()
    batch = synthetic_batch(4, 16, 32)
    before = [weight.detach().clone() for weight in model.parameters()]
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    infinite = model.norm.weight.register_hook(lambda gradient: gradient * torch.inf)
    assert train_step(model, optimizer, *batch, scaler=scaler).isfinite()
    assert all(torch.equal(*pair) for pair in zip(model.parameters(), before, strict=True))
    assert scaler.get_scale() == 2.0**9
    infinite.remove()
    train_step(model, optimizer, *batch, scaler=scaler)
    assert not any(torch.equal(*pair) for pair in zip(model.parameters(), before, strict=True))
    assert scaler.get_scale() == 2.0**9


def test_switches_that_do_not_go_together_are_named() -> None:
    model, optimizer = model_and_optimizer()
    batch = synthetic_batch(4, 16, 32)
    for amp, reason in ((torch.float16, "a CPU emulates float16"), (torch.float64, r"amp=torch\.float64, wanted")):
        with pytest.raises(Unsupported, match=f"train_step: {reason}"):
            train_step(model, optimizer, *batch, amp=amp)
    on_meta = (t.to("meta") for t in batch)
    with pytest.raises(Unsupported, match="train_step: meta has no autocast"):
        train_step(model.to("meta"), optimizer, *on_meta, amp=torch.bfloat16)


def test_the_shares_of_a_step_are_parts_of_that_step() -> None:
    model, optimizer = model_and_optimizer()
    other, of_other = model_and_optimizer()
    batch = synthetic_batch(4, 16, 32)
    shares = step_shares(model, optimizer, *batch)
    train_step(other, of_other, *batch)
    assert all(torch.equal(*pair) for pair in zip(model.parameters(), other.parameters(), strict=True))
    assert tuple(shares) == PARTS
    assert all(seconds > 0 for seconds in shares.values())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    with pytest.raises(Unsupported, match="Linear, wanted a TransformerLM"):
        step_shares(torch.nn.Linear(2, 2), optimizer, *batch)


def test_each_share_is_the_time_of_its_part(monkeypatch) -> None:
    """On a clock that moves on by what each part is said to take, and by nothing else."""
    now = [0.0]
    monkeypatch.setattr("attention.training.shares.device_clock", lambda _device: lambda: now[0])

    def takes(seconds: float):
        return lambda *_: now.append(now.pop() + seconds)

    class Slow(torch.optim.Optimizer):
        def step(self, closure=None) -> None:
            takes(100)()

    model = TransformerLM(32, 16, 3, max_length=16)
    for block in model.blocks:
        block.attention.value.register_forward_hook(takes(1))
        block.feed_forward.up.register_forward_hook(takes(10))
    model.norm.register_forward_hook(takes(1000))
    model.norm.weight.register_hook(takes(10_000))
    shares = step_shares(model, Slow(model.parameters(), {}), *synthetic_batch(4, 16, 32))
    assert shares == {"attention": 3, "feed_forward": 30, "other": 1000, "backward": 10_000, "optimizer": 100}


def test_recall_is_of_vectors_that_never_come_twice() -> None:
    task = RecallTask(batch=2, length=3, feature_size=4)
    one, two = task.batches(2, seed=0)
    assert one.shape == (2, 3, 4)
    assert not torch.equal(one, two)
    assert torch.equal(next(task.batches(1, seed=0)), one)
    assert not torch.equal(next(task.batches(1, seed=1)), one)


def test_the_score_is_the_mean_cosine_of_vectors() -> None:
    x = torch.tensor([[[3.0, 4.0], [1.0, 0.0]]])
    assert cosine_score(2 * x, x) == 1
    assert cosine_score(torch.tensor([[[3.0, 4.0], [0.0, 1.0]]]), x) == 0.5
    scores = evaluate_cosine(torch.nn.Identity(), [x, -x])
    assert scores == 1


def test_evaluation_is_in_eval_mode_and_leaves_the_model_as_it_was() -> None:
    model = torch.nn.Dropout(0.5)
    assert evaluate_cosine(model, RecallTask(2, 3, 4).batches(2, seed=0)) == pytest.approx(1)
    assert model.training


def test_a_recall_step_tells_loss_and_cosine_of_its_forward_and_reads_nothing_back() -> None:
    x = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 4)
    made = model(x).detach()
    loss, cosine = recall_step(model, torch.optim.SGD(model.parameters(), lr=0.1), x)
    assert loss == (made - x).square().mean()
    assert cosine == F.cosine_similarity(made, x, dim=-1).mean()
    assert not torch.equal(model(x), made)
    on_meta = torch.nn.Linear(4, 4).to("meta")
    recall_step(on_meta, torch.optim.SGD(on_meta.parameters()), x.to("meta"))


def test_what_cannot_be_recalled_is_named() -> None:
    x = torch.zeros(2, 3, 4)
    model = torch.nn.Linear(4, 1)
    with pytest.raises(ShapeError, match=r"reconstruction \[2, 3, 1\], x \[2, 3, 4\]"):
        recall_step(model, torch.optim.SGD(model.parameters()), x)
    with pytest.raises(ShapeError, match=r"cosine_score: reconstruction \[2, 3, 1\]"):
        cosine_score(x[..., :1], x)
    with pytest.raises(ShapeError, match="no batch, wanted at least one"):
        evaluate_cosine(model, [])
    with pytest.raises(ShapeError, match=r"RecallTask\(batch=0.*wanted each >= 1"):
        RecallTask(batch=0)
