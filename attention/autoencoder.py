"""Autoencoders of sequences: a recurrent encoder, a bottleneck, and a decoder with or without attention.

The decoder is told which step it is at and nothing else: what it gives back came through the bottleneck, or was
attended to. It never sees the vectors themselves, so that training and use are alike.
Axes: b batch, s positions, f feature width, p width of a position's vector, h hidden width, z bottleneck width.
"""

from typing import Unpack

import torch
from torch import Tensor, nn

from attention.decoder import AttentionDecoder, DecoderForms, RNNDecoder
from attention.errors import ShapeError
from attention.recurrent import Cell, Recurrence, check_alike


class _Autoencoder(nn.Module):
    """What both share: the positions' vectors, the encoder, the bottleneck."""

    decoder: AttentionDecoder | RNNDecoder

    def __init__(
        self,
        feature_size: int,
        hidden_size: int,
        bottleneck_size: int,
        *,
        max_length: int,
        position_size: int,
        cell: Cell,
    ) -> None:
        super().__init__()
        sizes = (feature_size, hidden_size, bottleneck_size, max_length, position_size)
        if min(sizes) < 1:
            raise ShapeError(f"{type(self).__name__}: sizes {', '.join(map(str, sizes))}, wanted each >= 1")
        self.feature_size, self.max_length = feature_size, max_length
        self.positions = nn.Parameter(torch.randn(max_length, position_size))
        self.encoder = Recurrence(cell, feature_size + position_size, hidden_size)
        self.bottleneck = nn.Linear(hidden_size, bottleneck_size)

    def forward(self, x_bsf: Tensor) -> Tensor:
        if x_bsf.dim() != 3 or x_bsf.shape[2] != self.feature_size or not 1 <= x_bsf.shape[1] <= self.max_length:
            wanted = f"[B, S, {self.feature_size}] with 1 <= S <= {self.max_length}"
            raise ShapeError(f"{type(self).__name__}: x {list(x_bsf.shape)}, wanted {wanted}")
        check_alike(type(self).__name__, weights=self.positions, x=x_bsf)
        positions_bsp = self.positions[: x_bsf.shape[1]].expand(x_bsf.shape[0], -1, -1)
        states_bsh = self.encoder(torch.cat((x_bsf, positions_bsp), dim=-1))
        summary_bz = torch.tanh(self.bottleneck(states_bsh[:, -1]))
        reconstruction_bsf: Tensor = self.decoder(positions_bsp, states_bsh, summary_bz)
        return reconstruction_bsf


class RNNAutoencoder(_Autoencoder):
    """All of a sequence through the bottleneck: the baseline of `AttentionAutoencoder`.

    Shapes: x [B, S, F]; result as x. Cost: two passes of the cell over B S steps.
    Raises: ShapeError when x is not [B, S, feature_size] with 1 <= S <= max_length.
    Source: seed 001, "baseline RNN (no attention)".
    """

    def __init__(
        self,
        feature_size: int,
        hidden_size: int,
        bottleneck_size: int,
        *,
        max_length: int = 64,
        position_size: int = 16,
        cell: Cell = "gru",
    ) -> None:
        super().__init__(
            feature_size, hidden_size, bottleneck_size, max_length=max_length, position_size=position_size, cell=cell
        )
        self.decoder = RNNDecoder(position_size, hidden_size, feature_size, summary_size=bottleneck_size, cell=cell)


class AttentionAutoencoder(_Autoencoder):
    """The decoder starts from the bottleneck and attends to every state of the encoder; `forms` are its switches.

    Shapes: x [B, S, F]; result as x. Cost: as `RNNAutoencoder`, and the attention of `AttentionDecoder`.
    Raises: ShapeError when x is not [B, S, feature_size] with 1 <= S <= max_length.
    Source: seed 001, the attention-enhanced autoencoder.
    """

    def __init__(
        self,
        feature_size: int,
        hidden_size: int,
        bottleneck_size: int,
        *,
        max_length: int = 64,
        position_size: int = 16,
        **forms: Unpack[DecoderForms],
    ) -> None:
        super().__init__(
            feature_size,
            hidden_size,
            bottleneck_size,
            max_length=max_length,
            position_size=position_size,
            cell=forms.get("cell", "gru"),
        )
        self.decoder = AttentionDecoder(position_size, hidden_size, feature_size, summary_size=bottleneck_size, **forms)
