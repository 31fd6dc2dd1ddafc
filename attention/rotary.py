"""Rotary position embedding: pairs of channels turned by an angle that grows with the position.

Interleaved pairs channels (0, 1), (2, 3), …; half-split pairs (0, D/2), (1, D/2 + 1), …. A permutation of channels
makes one of the other. Tables are float32 whatever the model computes in: bfloat16 cannot tell position 300 from 301.
Axes: b batch, h heads, l positions, d width, p pairs (D / 2).
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.compiler import is_dynamo_compiling

from attention.errors import ShapeError

RotaryForm = Literal["recomputed", "stack", "half_split", "complex"]
ROTARY_FORMS: tuple[RotaryForm, ...] = ("recomputed", "stack", "half_split", "complex")


def apply_rotary_emb(x: Tensor, cos: Tensor, sin: Tensor, *, interleaved: bool = True) -> Tensor:
    """Turn each pair of channels by its angle, by arithmetic on the two halves of the pairs.

    Shapes: x [..., L, D]; cos, sin [..., L, D/2], float32; result as x.
    Memory: four halves of x in float32 and the result twice. Cost: 3 L D FLOP for each head.
    Raises: ShapeError when D is odd or the tables do not fit.
    Source: Su et al. 2021, arXiv:2104.09864, equation 34; half-split as in GPT-NeoX.
    """
    _check("apply_rotary_emb", x, cos, sin, is_complex=False)
    first_lp, second_lp = (x[..., 0::2], x[..., 1::2]) if interleaved else x.chunk(2, dim=-1)
    turned = first_lp * cos - second_lp * sin, first_lp * sin + second_lp * cos
    out = torch.stack(turned, dim=-1).flatten(-2) if interleaved else torch.cat(turned, dim=-1)
    return out.to(x.dtype)


def apply_rotary_complex(x: Tensor, turns: Tensor) -> Tensor:
    """Turn interleaved pairs as complex numbers: one product on a view.

    Shapes: x [..., L, D]; turns [..., L, D/2], complex64, of length one; result as x.
    Memory: the result; twice, in float32, for a narrower x. Cost: 3 L D FLOP for each head.
    Raises: ShapeError when D is odd or the turns do not fit.
    Source: Su et al. 2021, arXiv:2104.09864, equation 12; the complex view is llama's.
    """
    _check("apply_rotary_complex", x, turns, is_complex=True)
    narrow = x.dtype not in (torch.float32, torch.float64)
    wide = x.float() if narrow else x
    # A view of a fused projection may start or step on an odd number, where no complex one can lie.
    if wide.storage_offset() % 2 or not (wide.is_contiguous() or _steps_by_pairs(wide)):
        wide = wide.clone(memory_format=torch.contiguous_format)
    x_lp = torch.view_as_complex(torch.unflatten(wide, -1, (-1, 2)))
    out = torch.view_as_real(x_lp * turns).flatten(-2)
    return out.to(x.dtype) if narrow else out


class RotaryEmbedding(nn.Module):
    """Turn queries and keys by their positions, in one of four forms with equal results up to the pairing.

    ========== =========== =========================== ==================
    form       pairs       angles                      rotation
    ========== =========== =========================== ==================
    recomputed interleaved computed on each call       stack and flatten
    stack      interleaved from the tables             stack and flatten
    half_split half-split  from the tables             chunk and cat
    complex    interleaved from the tables             complex product
    ========== =========== =========================== ==================

    Shapes: x [B, H, L, D]; positions an offset, [L], or [B, L]; result as x.
    Memory: tables of max_length x D/2 in float32, twice. Cost: 3 B H L D FLOP.
    Raises: ShapeError when D is odd, x has another width, or a position lies beyond the tables' max_length (one given
    as a tensor on an accelerator is not read back, and ends in the device's own error).
    Source: seed 004, `rope_i`; Su et al. 2021, arXiv:2104.09864.
    """

    turns: Tensor

    def __init__(
        self, dim: int, *, max_length: int = 2048, base: float = 10_000.0, form: RotaryForm = "complex"
    ) -> None:
        super().__init__()
        if dim % 2 or dim < 2:
            raise ShapeError(f"RotaryEmbedding: dim={dim}, wanted an even number")
        if form not in ROTARY_FORMS:
            raise ShapeError(f"RotaryEmbedding: form={form!r}, wanted one of {', '.join(ROTARY_FORMS)}")
        self.dim, self.max_length, self.base, self.form = dim, max_length, base, form
        # One table: the cosines and sines are its real and imaginary parts, which are views.
        self.register_buffer("turns", self._turns(torch.arange(max_length)), persistent=False)

    def forward(self, x: Tensor, positions: int | Tensor = 0) -> Tensor:
        if x.dim() < 2 or x.shape[-1] != self.dim:
            raise ShapeError(f"RotaryEmbedding: x {list(x.shape)}, wanted [..., L, {self.dim}]")
        turns_lp = self._at(positions, x.shape[-2])
        # A compiler fuses no complex product, and can not ask where a view begins: it gets the stack form.
        if self.form == "complex" and not is_dynamo_compiling():
            return apply_rotary_complex(x, turns_lp)
        return apply_rotary_emb(x, turns_lp.real, turns_lp.imag, interleaved=self.form != "half_split")

    def _at(self, positions: int | Tensor, length: int) -> Tensor:
        if isinstance(positions, int):
            if positions < 0 or positions + length > self.max_length:
                met = f"positions {positions} to {positions + length}"
                raise ShapeError(f"RotaryEmbedding: {met}, wanted them within max_length={self.max_length}")
            if self.form == "recomputed":
                return self._turns(torch.arange(positions, positions + length, device=self.turns.device))
            return self.turns.narrow(0, positions, length)
        whole = positions.dtype in (torch.int32, torch.int64)
        if positions.dim() not in (1, 2) or not whole or positions.device != self.turns.device:
            met = f"positions {list(positions.shape)} {positions.dtype} on {positions.device}"
            wanted = f"[L] or [B, L] in int32 or int64 on {self.turns.device}"
            raise ShapeError(f"RotaryEmbedding: met {met}, wanted {wanted}")
        turns = self._turns(positions) if self.form == "recomputed" else self._look_up(positions)
        # [B, L, P] stands beside [B, H, L, D].
        return turns.unsqueeze(1) if positions.dim() == 2 else turns

    def _look_up(self, positions: Tensor) -> Tensor:
        try:
            # Brackets would take -1 for the last position.
            return torch.unflatten(self.turns.index_select(0, positions.flatten()), 0, positions.shape)
        except IndexError:
            met = f"positions {positions.min()} to {positions.max()}"
            raise ShapeError(f"RotaryEmbedding: {met}, wanted them within max_length={self.max_length}") from None

    def _turns(self, positions: Tensor) -> Tensor:
        # At position 100,000 a float32 angle is off by a hundredth; MPS has nothing wider.
        wide = torch.float32 if positions.device.type == "mps" else torch.float64
        rates_p = self.base ** (-torch.arange(0, self.dim, 2, device=positions.device, dtype=wide) / self.dim)
        angles_lp = positions.to(wide)[..., None] * rates_p
        return torch.polar(torch.ones_like(angles_lp), angles_lp).to(torch.complex64)

    def _apply(self, fn, recurse: bool = True):  # type: ignore[no-untyped-def]
        """Follow the model to its device, not into its dtype: the table stays complex64."""
        kept, self._buffers["turns"] = self.turns, None
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        device = fn(torch.empty(0, device=kept.device)).device
        # A table without values has none to take along.
        self.turns = self._turns(torch.arange(self.max_length, device=device)) if kept.is_meta else kept.to(device)
        return self


def _steps_by_pairs(x: Tensor) -> bool:
    return x.stride(-1) == 1 and not any(step % 2 for step in x.stride()[:-1])


def _check(place: str, x: Tensor, *tables: Tensor, is_complex: bool) -> None:
    sizes = x.shape
    for table in tables:
        its = table.shape
        if not (
            len(sizes) >= len(its) >= 2
            and its[-1] * 2 == sizes[-1] > 0
            and its[-2] == sizes[-2]
            and (len(its) == 2 or all(n in (1, met) for n, met in zip(its[-3::-1], sizes[-3::-1], strict=False)))
        ):
            met = f"x {list(sizes)}, table {list(its)}"
            raise ShapeError(f"{place}: met {met}, wanted x [..., L, D] with an even D, and tables [..., L, D/2]")
        kind = table.is_complex() if is_complex else table.is_floating_point()
        if not (kind and x.is_floating_point() and x.device == table.device):
            met = f"x {x.dtype} on {x.device}, table {table.dtype} on {table.device}"
            wanted = f"a floating x and a {'complex' if is_complex else 'floating'} table on one device"
            raise ShapeError(f"{place}: met {met}, wanted {wanted}")
