"""Prompts, steps and pieces through every cache: the same tokens as without one."""

from functools import partial

import pytest
import torch
from torch import Tensor

from attention import (
    ConcatKVCache,
    GrowingKVCache,
    MultiHeadAttention,
    RotaryEmbedding,
    ShapeError,
    StaticKVCache,
    TransformerLM,
    Unsupported,
    decode,
    generate,
    measure_throughput,
    prefill,
)
from attention.generation import MakeCache

HEADS, KV_HEADS, WIDTH, BATCH, LONGEST = 4, 2, 16, 3, 24
CACHES: dict[str, MakeCache] = {
    "concat": ConcatKVCache,
    "static": partial(StaticKVCache, BATCH, KV_HEADS, LONGEST, WIDTH // HEADS),
    "growing": partial(GrowingKVCache, step=4),
}


@pytest.fixture(scope="module")
def model() -> TransformerLM:
    torch.manual_seed(0)
    rotary = RotaryEmbedding(WIDTH // HEADS, max_length=LONGEST)
    heads = partial(MultiHeadAttention, num_heads=HEADS, num_kv_heads=KV_HEADS, rotary=rotary)
    return TransformerLM(11, WIDTH, 2, max_length=LONGEST, attention=heads).requires_grad_(False)


@pytest.fixture(scope="module")
def prompt() -> Tensor:
    return torch.randint(11, (BATCH, 7), generator=torch.Generator().manual_seed(1))


def test_throughput_counts_the_tokens_of_all_sequences_over_the_best_round(
    model: TransformerLM, prompt: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that moves a second a look, in the second round half a second."""
    seconds = iter([0.0, 1.0, 3.0, 3.0, 3.5, 4.5])
    monkeypatch.setattr("attention.generation.device_clock", lambda device: lambda: next(seconds))
    held: list[ConcatKVCache] = []

    def make() -> ConcatKVCache:
        held.append(ConcatKVCache())
        return held[-1]

    told = measure_throughput(model, prompt, 5, make, rounds=2)
    assert told == (BATCH * 7 / 0.5, BATCH * 5 / 1.0)
    assert [cache.seq_len for cache in held] == [12] * 4
    assert list(seconds) == []


def test_throughput_of_nothing_is_named(model: TransformerLM, prompt: Tensor) -> None:
    with pytest.raises(ShapeError, match="new_tokens=0"):
        measure_throughput(model, prompt, 0, ConcatKVCache)


@pytest.mark.parametrize("name", CACHES)
def test_each_step_has_the_logits_of_the_whole_sequence(name: str, model: TransformerLM, prompt: Tensor) -> None:
    whole_blv = model(prompt)
    caches = [CACHES[name]() for _ in model.blocks]
    assert torch.allclose(prefill(model, prompt[:, :4], caches), whole_blv[:, 3], atol=1e-5)
    for place in range(4, 7):
        assert torch.allclose(decode(model, prompt[:, place], caches), whole_blv[:, place], atol=1e-5)
    assert [cache.seq_len for cache in caches] == [7, 7]


def test_a_prompt_may_come_in_pieces(model: TransformerLM, prompt: Tensor) -> None:
    caches = [ConcatKVCache() for _ in model.blocks]
    prefill(model, prompt[:, :3], caches)
    assert torch.allclose(prefill(model, prompt[:, 3:], caches), model(prompt)[:, -1], atol=1e-5)


@pytest.mark.parametrize("name", CACHES)
def test_what_is_generated_is_the_same_with_every_cache(name: str, model: TransformerLM, prompt: Tensor) -> None:
    expected = prompt
    for _ in range(9):
        expected = torch.cat((expected, model(expected)[:, -1:].argmax(dim=-1)), dim=1)
    assert torch.equal(generate(model, prompt, 9, CACHES[name]), expected)


def test_what_cannot_be_continued_is_named(model: TransformerLM, prompt: Tensor) -> None:
    caches = [ConcatKVCache() for _ in model.blocks]
    prefill(model, prompt, caches)
    with pytest.raises(ShapeError, match="behind 7 cached"):
        prefill(model, torch.zeros(BATCH, 18, dtype=torch.int64), caches)
    with pytest.raises(ShapeError, match=r"caches hold \[7, 0\] positions"):
        prefill(model, prompt, [caches[0], ConcatKVCache()])
    with pytest.raises(ShapeError, match=r"tokens \[3, 0\], wanted \[B, L\] with L >= 1"):
        prefill(model, prompt[:, :0], caches)
    with pytest.raises(ShapeError, match="1 caches, wanted one for each of 2"):
        prefill(model, prompt, [ConcatKVCache()])
    with pytest.raises(ShapeError, match="new_tokens=0"):
        generate(model, prompt, 0, ConcatKVCache)
    with pytest.raises(ShapeError, match=r"token \[3, 1\], wanted \[B\]"):
        decode(model, prompt[:, :1], [ConcatKVCache(), ConcatKVCache()])
    single = TransformerLM(11, 8, 1)
    with pytest.raises(Unsupported, match="a single head keeps no cache"):
        prefill(single, prompt, [ConcatKVCache()])
