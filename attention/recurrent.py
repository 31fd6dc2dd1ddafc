"""Recurrent layers as decoders need them: all steps in one call or one at a time, started from a summary.

Axes: b batch, t steps, i input width, h hidden width, z summary width.
"""

from typing import Any, Literal

import torch
from torch import Tensor, nn

from attention.errors import ShapeError
from attention.functional import is_autocast
from attention.weights import convert_weights

Cell = Literal["gru", "lstm"]
State = tuple[Tensor, ...]  #: what a cell carries from step to step, each [B, H]
#: The parts of a cell's state, in order.
STATES: dict[Cell, tuple[str, ...]] = {"gru": ("hidden",), "lstm": ("hidden", "memory")}


class Recurrence(nn.Module):
    """One GRU or LSTM layer; the same weights serve the call over all steps and the single step.

    Shapes: x [B, T, I]; result [B, T, H]. Cost: 2 B T G H (I + H) FLOP, with G = 3 (GRU) or 4 (LSTM).
    Raises: ShapeError when the cell is unknown.
    Source: Cho et al. 2014, arXiv:1406.1078; Hochreiter and Schmidhuber 1997.
    """

    def __init__(self, cell: Cell, input_size: int, hidden_size: int) -> None:
        super().__init__()
        if cell not in STATES:
            raise ShapeError(f"Recurrence: cell={cell!r}, wanted one of {', '.join(STATES)}")
        self.cell = cell
        layer = nn.GRU if cell == "gru" else nn.LSTM
        self.rnn: nn.GRU | nn.LSTM = layer(input_size, hidden_size, batch_first=True)

    def forward(self, x_bti: Tensor, state: State | None = None) -> Tensor:
        """Take all steps in one call; without a state, from zeros."""
        # The layer wants one leading axis for its depth, and cuDNN a contiguous state: parts of a product are not.
        first = None if state is None else tuple(part_bh.contiguous().unsqueeze(0) for part_bh in state)
        hidden_bth: Tensor = self.rnn(x_bti, first if first is None or self.cell == "lstm" else first[0])[0]
        return hidden_bth

    def step(self, x_bi: Tensor, state: State) -> State:
        """Take one step: the next state, whose first part is the output.

        Shapes: x [B, I]; each part of the state [B, H].
        """
        weights = self.rnn.all_weights[0]
        if self.cell == "gru":
            return (torch.gru_cell(x_bi, state[0], *weights),)
        return torch.lstm_cell(x_bi, state, *weights)


class InitialState(nn.Module):
    """tanh(W z + b) for each part of a state: by one product for all parts (`fused`), or one product each.

    Shapes: summary [B, Z]; result one [B, H] a part. Cost: 2 B Z H FLOP a part.
    Source: seed 001, "fused projection for LSTM hidden+cell".
    """

    def __init__(self, cell: Cell, summary_size: int, hidden_size: int, *, fused: bool) -> None:
        super().__init__()
        self.fused, self.parts = fused, STATES[cell]
        self.hidden_size = hidden_size
        if fused:
            self.joint = nn.Linear(summary_size, len(self.parts) * hidden_size)
        else:
            for part in self.parts:
                self.add_module(part, nn.Linear(summary_size, hidden_size))

    def forward(self, summary_bz: Tensor) -> State:
        if self.fused:
            return tuple(torch.tanh(self.joint(summary_bz)).chunk(len(self.parts), dim=-1))
        return tuple(torch.tanh(self.get_submodule(part)(summary_bz)) for part in self.parts)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Take the weights of the other form."""
        for kind in ("weight", "bias"):
            parts = {f"{prefix}{part}.{kind}": self.hidden_size for part in self.parts}
            convert_weights(state_dict, f"{prefix}joint.{kind}", parts, dim=0, join=self.fused)
        super()._load_from_state_dict(state_dict, prefix, *rest)


def check_alike(place: str, **tensors: Tensor) -> None:
    """Raises: ShapeError, which names `place`, when dtypes or devices differ; under autocast floating dtypes may."""
    given = tuple(tensors.values())
    one_device = all(t.device == given[0].device for t in given)
    one_dtype = all(t.dtype == given[0].dtype for t in given)
    if not one_device or not (one_dtype or (is_autocast(given[0]) and all(t.is_floating_point() for t in given))):
        met = ", ".join(f"{name} {t.dtype} on {t.device}" for name, t in tensors.items())
        raise ShapeError(f"{place}: met {met}, wanted one dtype on one device")
