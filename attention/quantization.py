"""INT8: numbers as one byte with a float scale a row, and linear layers and keys and values made of them.

A row's largest magnitude becomes 127 (symmetric, no zero point). A row of zeros stays zero; a row that holds a NaN or
an infinity gives no finite number, as it would unquantised. For inference; `weight_only` lets gradients through to x.
Axes: m rows of input (all leading axes as one), k input features, n output features, t anything before the last axis.
"""

from collections.abc import Callable
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attention.errors import ShapeError, Unsupported

Int8Mode = Literal["weight_only", "dynamic"]
INT8_MODES: tuple[Int8Mode, ...] = ("weight_only", "dynamic")

LARGEST = 127  #: of the int8 numbers: -128 has no counterpart, and would shift every row's mean
#: CUDA's int8 product wants more than 16 rows; inner and outer widths a multiple of 8.
CUDA_ROWS, CUDA_MULTIPLE = 17, 8
#: Up to here the packed bfloat16 product is the faster on a CPU; with more rows its loop loses to a plain product.
PACKED_ROWS = 16


def quantize_rows(x: Tensor) -> tuple[Tensor, Tensor]:
    """Round each row (last axis) to 255 steps of its own size: x is about numbers * scale[..., None].

    Shapes: x [..., K]; numbers as x, int8; scale [...], float32. Memory: x in float32 three times while rounding.
    Error: half a step, which is 1/254 of the row's largest magnitude. Cost: 5 passes over x.
    Raises: ShapeError when x has no floating dtype or an empty last axis.
    """
    if not x.is_floating_point() or x.dim() < 1 or x.shape[-1] < 1:
        raise ShapeError(f"quantize_rows: met {list(x.shape)} {x.dtype}, wanted [..., K] with K >= 1 and a float dtype")
    wide_tk = x.detach().float()
    # The least normal number in place of 0: a row of zeros is divided by something, and stays zero.
    scale_t = (wide_tk.abs().amax(dim=-1) / LARGEST).clamp_min(torch.finfo(torch.float32).tiny)
    return (wide_tk / scale_t[..., None]).round_().to(torch.int8), scale_t


def quantize_kv(t: Tensor) -> tuple[Tensor, Tensor]:
    """Quantise keys or values with one scale for each token and head.

    Shapes: t [B, Hkv, L, D]; numbers as t, int8; scale [B, Hkv, L], float32. Memory, Cost: as `quantize_rows`.
    Raises: ShapeError when t is not four-dimensional.
    """
    if t.dim() != 4:
        raise ShapeError(f"quantize_kv: met {list(t.shape)}, wanted [B, Hkv, L, D]")
    return quantize_rows(t)


class Int8Linear(nn.Module):
    """A linear layer with int8 weights and a float scale for each output channel.

    `weight_only` multiplies floats: a quarter of float32's bytes, and a rounding of the weights alone. `dynamic` rounds
    each token, too, and multiplies int8 by int8: faster where the device has the instruction.

    Shapes: x [..., K], any floating dtype; result [..., N] in x's dtype.
    Memory: N (K + 4) bytes and the bias. weight_only: N K float32 while it runs, and in x's dtype if that is another;
    none where the CPU multiplies packed weights (bfloat16, few rows). dynamic: M K bytes and M N int32.
    Cost: 2 M K N operations and, weight_only, 2 N K conversions; dynamic, 6 M K and 4 M N.
    Raises: ShapeError when the width is not K; Unsupported when `dynamic` is asked for a gradient.
    Source: seed 001, "INT8 quantization for inference"; Dettmers et al. 2022, arXiv:2208.07339.
    """

    weight: Tensor
    scale: Tensor
    bias: Tensor | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        bias: bool = True,
        mode: Int8Mode = "weight_only",
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        if min(in_features, out_features) < 1 or mode not in INT8_MODES:
            met = f"in_features={in_features}, out_features={out_features}, mode={mode!r}"
            raise ShapeError(f"Int8Linear: met {met}, wanted widths >= 1 and one of {', '.join(INT8_MODES)}")
        self.in_features, self.out_features, self.mode = in_features, out_features, mode
        self.register_buffer("weight", torch.zeros(out_features, in_features, dtype=torch.int8, device=device))
        self.register_buffer("scale", torch.ones(out_features, device=device))
        self.register_buffer("bias", torch.zeros(out_features, device=device) if bias else None)

    @classmethod
    def from_linear(cls, linear: nn.Linear, *, mode: Int8Mode = "weight_only") -> "Int8Linear":
        """Quantise the weights of a layer, which stays as it is. Shapes: as `linear`."""
        bias, device = linear.bias, linear.weight.device
        made = cls(linear.in_features, linear.out_features, bias=bias is not None, mode=mode, device=device)
        made.weight, made.scale = quantize_rows(linear.weight)
        made.bias = None if bias is None else bias.detach().clone()
        return made.train(linear.training)

    def forward(self, x: Tensor) -> Tensor:
        fits = x.dim() >= 1 and x.shape[-1] == self.in_features
        if not fits or not x.is_floating_point() or x.device != self.weight.device:
            met, wanted = f"x {list(x.shape)} {x.dtype} on {x.device}", f"[..., {self.in_features}] of floats"
            raise ShapeError(f"Int8Linear: met {met}, wanted {wanted} on {self.weight.device}")
        learns = torch.is_grad_enabled() and x.requires_grad
        if self.mode == "dynamic":
            if learns:
                raise Unsupported("a dynamic Int8Linear rounds its input: no gradient passes it; use torch.no_grad()")
            return self._dynamic(x)
        rows = x[..., 0].numel()
        if not learns and x.device.type == "cpu" and x.dtype == torch.bfloat16 and 1 <= rows <= PACKED_ROWS:
            return self._packed(x)
        # In float32 first: a small scale has few digits in float16, and all its weights would be wrong alike.
        weight_nk = (self.weight * self.scale[:, None]).to(x.dtype)
        return F.linear(x, weight_nk, None if self.bias is None else self.bias.to(x.dtype))

    def _packed(self, x: Tensor) -> Tensor:
        """A product that converts the weights in registers; for float32 the same call is a scalar loop."""
        x_mk = x.reshape(-1, self.in_features)
        out_mn = torch._weight_int8pack_mm(x_mk, self.weight, self.scale.to(x.dtype))
        out_mn = out_mn if self.bias is None else out_mn + self.bias.to(x.dtype)
        return out_mn.view(*x.shape[:-1], self.out_features)

    def _dynamic(self, x: Tensor) -> Tensor:
        numbers_mk, scale_m = quantize_rows(x.reshape(-1, self.in_features))
        out_mn = int8_product(numbers_mk, self.weight).mul_(scale_m[:, None]).mul_(self.scale)
        out_mn = out_mn if self.bias is None else out_mn.add_(self.bias)
        return out_mn.to(x.dtype).view(*x.shape[:-1], self.out_features)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Int8Linear":
        """Follow a model to its device, not into its dtype: the scales stay float32."""
        kept = self.scale
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        if self.scale.dtype != kept.dtype:
            self.scale = kept.to(self.scale.device)
        return self

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}, bias={self.bias is not None}, mode={self.mode}"

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Take the floats of the nn.Linear that this replaces, too: copied as int8 they would lose their fractions."""
        weight = state_dict.get(f"{prefix}weight")
        if weight is not None and weight.dtype != torch.int8:
            state_dict[f"{prefix}weight"], state_dict[f"{prefix}scale"] = quantize_rows(weight)
        super()._load_from_state_dict(state_dict, prefix, *rest)


def int8_product(x_mk: Tensor, weight_nk: Tensor) -> Tensor:
    """Multiply int8 by the transpose of int8, summed in int32 where the device has it, in float32 elsewhere.

    Shapes: x [M, K], weight [N, K], int8; result [M, N], float32. Memory: M N int32; elsewhere both in float32.
    Cost: 2 M K N operations. Up to K = 1040 both are exact: 127 * 127 * 1040 is below 2 ** 24.
    """
    if not int_mm_takes(x_mk.device.type, *weight_nk.shape):
        return x_mk.float() @ weight_nk.float().t()
    rows = x_mk.shape[0]
    if x_mk.is_cuda and rows < CUDA_ROWS:
        x_mk = F.pad(x_mk, (0, 0, 0, CUDA_ROWS - rows))
    return torch._int_mm(x_mk, weight_nk.t())[:rows].float()


def int_mm_takes(device_type: str, out_features: int, in_features: int) -> bool:
    """Whether torch's int8 product runs there, on these widths; float32 takes what is left."""
    whole = out_features % CUDA_MULTIPLE == 0 and in_features % CUDA_MULTIPLE == 0
    return device_type in ("cpu", "meta") or (device_type == "cuda" and whole)


def quantize_int8_(
    module: nn.Module, *, mode: Int8Mode = "weight_only", select: Callable[[str], bool] = lambda _: True
) -> tuple[str, ...]:
    """Replace the linear layers whose dotted name `select` likes, in place; returns their names.

    Subclasses of nn.Linear stay: whoever made one reads its weights. A layer in two places is quantised once.
    Memory: the floats stay beside the bytes until it returns.
    Raises: Unsupported when the module itself is a linear layer, which nothing in it can replace.
    """
    if type(module) is nn.Linear:
        raise Unsupported("quantize_int8_ replaces layers inside a module; this one is a layer: Int8Linear.from_linear")
    made: dict[nn.Module, Int8Linear] = {}
    names = []
    for name, layer in list(module.named_modules(remove_duplicate=False)):
        if type(layer) is nn.Linear and select(name):
            if layer not in made:
                made[layer] = Int8Linear.from_linear(layer, mode=mode)
            parent, _, last = name.rpartition(".")
            setattr(module.get_submodule(parent), last, made[layer])
            names.append(name)
    return tuple(names)
