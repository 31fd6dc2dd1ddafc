"""A step changes the weights, reads nothing back, and learns what can be learned."""

import pytest
import torch

from attention import ShapeError, TransformerLM, synthetic_batch, train_step


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
