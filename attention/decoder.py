"""Decoders over a GRU or an LSTM, with attention to an encoder's states: each optimisation beside what it replaced.

A decoder is called with the inputs of all its steps, the encoder's states and their summary, from which it starts.
Axes: b batch, t decoder steps, s encoder positions, i input width, c encoder width, h hidden width, z summary width.
"""

from typing import TypedDict

import torch
from torch import Tensor, nn

from attention.context import ContextLayer, CrossAttention
from attention.errors import ShapeError
from attention.multihead import Backend
from attention.recurrent import Cell, InitialState, Recurrence, State, check_alike


class DecoderForms(TypedDict, total=False):
    """What can be switched in an `AttentionDecoder`. Only the first three change what it computes."""

    cell: Cell
    num_heads: int
    input_feeding: bool
    backend: Backend
    cache_encoder_kv: bool
    fused_context: bool
    fused_state: bool
    preallocate: bool
    step_loop: bool


#: Each form before its optimisation. Beside one cell, number of heads and input feeding it computes the same.
PLAIN: DecoderForms = {
    "backend": "naive",
    "cache_encoder_kv": False,
    "fused_context": False,
    "fused_state": False,
    "preallocate": False,
}


class AttentionDecoder(nn.Module):
    """A recurrent decoder whose every step attends to all of the encoder's states.

    ================ =========================================== ==========================================
    switch           on                                          off
    ================ =========================================== ==========================================
    cache_encoder_kv K and V projected once                      projected again at every step
    fused_context    one product over [state, context]           one each, added
    fused_state      an LSTM's first state by one product        by two
    preallocate      steps written into one tensor               collected in a list and stacked
    input_feeding    a step's input ends in the last result      steps depend on each other by the cell alone
    step_loop        cell, attention, context layer at each step one call of each for all steps, where possible
    ================ =========================================== ==========================================

    It is possible where K and V are cached and nothing is fed back. `backend` names the attention kernel: "naive"
    materialises the weights, "sdpa" does not. All but `cell`, `num_heads` and `input_feeding` leave the result as it
    is, and a state_dict of any form loads into any other.

    Shapes: inputs [B, T, I]; encoder [B, S, C]; summary [B, Z]; result [B, T, output_size]. C and Z are H unless given.
    Memory: K and V, 2 B S H numbers, once or at each step; a tensor of [B, T, H] for the steps. In training a write
    into it costs the backward pass a copy of all of it, which a list does not.
    Cost: 4 B S C H FLOP for K and V, once or T times; the cell's; 2 B T H (3 H + 2 S + output_size).
    Raises: ShapeError when sizes, dtypes or devices do not fit together.
    Source: seed 001; Bahdanau et al. 2014, arXiv:1409.0473; Luong et al. 2015, arXiv:1508.04025, section 3.3.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int,
        *,
        context_size: int | None = None,
        summary_size: int | None = None,
        cell: Cell = "gru",
        num_heads: int = 4,
        input_feeding: bool = False,
        backend: Backend = "sdpa",
        cache_encoder_kv: bool = True,
        fused_context: bool = True,
        fused_state: bool = True,
        preallocate: bool = True,
        step_loop: bool = False,
    ) -> None:
        super().__init__()
        self.context_size = hidden_size if context_size is None else context_size
        self.summary_size = hidden_size if summary_size is None else summary_size
        _check_sizes("AttentionDecoder", input_size, hidden_size, output_size, self.context_size, self.summary_size)
        self.input_size, self.hidden_size = input_size, hidden_size
        self.cache_encoder_kv, self.preallocate, self.input_feeding = cache_encoder_kv, preallocate, input_feeding
        self.step_loop = step_loop or input_feeding or not cache_encoder_kv
        self.recurrence = Recurrence(cell, input_size + hidden_size * input_feeding, hidden_size)
        self.initial_state = InitialState(cell, self.summary_size, hidden_size, fused=fused_state)
        self.attention = CrossAttention(hidden_size, self.context_size, num_heads, backend=backend)
        self.context_layer = ContextLayer(hidden_size, fused=fused_context)
        self.output = nn.Linear(hidden_size, output_size)

    def forward(self, inputs_bti: Tensor, encoder_bsc: Tensor, summary_bz: Tensor) -> Tensor:
        _check_call(self, inputs_bti, summary_bz, encoder_bsc, self.context_size)
        state = self.initial_state(summary_bz)
        if self.step_loop:
            joined_bth = self._steps(inputs_bti, encoder_bsc, state)
        else:
            hidden_bth = self.recurrence(inputs_bti, state)
            context_bth = self.attention(hidden_bth, self.attention.encode(encoder_bsc))
            joined_bth = self.context_layer(hidden_bth, context_bth)
        out: Tensor = self.output(joined_bth)
        return out

    def _steps(self, inputs_bti: Tensor, encoder_bsc: Tensor, state: State) -> Tensor:
        B, T, _ = inputs_bti.shape
        kv = self.attention.encode(encoder_bsc) if self.cache_encoder_kv else None
        joined_bh = inputs_bti.new_zeros(B, self.hidden_size)
        steps_bth = inputs_bti.new_empty(B, T, self.hidden_size) if self.preallocate else None
        steps = []
        for t in range(T):
            x_bi = torch.cat((inputs_bti[:, t], joined_bh), dim=-1) if self.input_feeding else inputs_bti[:, t]
            state = self.recurrence.step(x_bi, state)
            seen = self.attention.encode(encoder_bsc) if kv is None else kv
            context_b1h = self.attention(state[0].unsqueeze(1), seen)
            joined_bh = self.context_layer(state[0], context_b1h.squeeze(1))
            if steps_bth is None:
                steps.append(joined_bh)
            else:
                steps_bth[:, t] = joined_bh
        return torch.stack(steps, dim=1) if steps_bth is None else steps_bth


class RNNDecoder(nn.Module):
    """The baseline without attention: all it knows of the encoder is the summary. Called as `AttentionDecoder`.

    Shapes: inputs [B, T, I]; encoder is not read; summary [B, Z]; result [B, T, output_size].
    Memory: the cell's results. Cost: the cell's, and 2 B T H output_size FLOP.
    Raises: ShapeError when sizes, dtypes or devices do not fit together.
    Source: seed 001, "baseline RNN (no attention)"; Sutskever et al. 2014, arXiv:1409.3215.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int,
        *,
        summary_size: int | None = None,
        cell: Cell = "gru",
        fused_state: bool = True,
        step_loop: bool = False,
    ) -> None:
        super().__init__()
        self.summary_size = hidden_size if summary_size is None else summary_size
        _check_sizes("RNNDecoder", input_size, hidden_size, output_size, self.summary_size)
        self.input_size, self.step_loop = input_size, step_loop
        self.recurrence = Recurrence(cell, input_size, hidden_size)
        self.initial_state = InitialState(cell, self.summary_size, hidden_size, fused=fused_state)
        self.output = nn.Linear(hidden_size, output_size)

    def forward(self, inputs_bti: Tensor, encoder_bsc: Tensor | None, summary_bz: Tensor) -> Tensor:
        _check_call(self, inputs_bti, summary_bz)
        state = self.initial_state(summary_bz)
        if not self.step_loop:
            out: Tensor = self.output(self.recurrence(inputs_bti, state))
            return out
        steps = []
        for x_bi in inputs_bti.unbind(1):
            state = self.recurrence.step(x_bi, state)
            steps.append(state[0])
        looped: Tensor = self.output(torch.stack(steps, dim=1))
        return looped


def _check_sizes(place: str, *sizes: int) -> None:
    if min(sizes) < 1:
        raise ShapeError(f"{place}: sizes {', '.join(map(str, sizes))}, wanted each >= 1")


def _check_call(
    decoder: AttentionDecoder | RNNDecoder,
    inputs_bti: Tensor,
    summary_bz: Tensor,
    encoder_bsc: Tensor | None = None,
    context_size: int = 0,
) -> None:
    place, B = type(decoder).__name__, inputs_bti.shape[0] if inputs_bti.dim() else "B"
    given = [("inputs", inputs_bti, ("T", decoder.input_size)), ("summary", summary_bz, (decoder.summary_size,))]
    if encoder_bsc is not None:
        given.append(("encoder", encoder_bsc, ("S", context_size)))
    for name, t, wanted in given:
        # No step and no encoder position leave nothing to decode and nothing to attend to.
        if t.dim() != 1 + len(wanted) or t.shape[0] != B or t.shape[-1] != wanted[-1] or 0 in t.shape[1:]:
            shape = ", ".join(map(str, (B, *wanted)))
            raise ShapeError(f"{place}: {name} {list(t.shape)}, wanted [{shape}]")
    check_alike(place, weights=decoder.output.weight, **{name: t for name, t, _ in given})
