"""Which keys a query may see: masks, the ways to build a causal one, and the cache that builds each once.

A boolean mask says True = attends. An additive mask holds 0 where it attends and -inf where it does not.
Causal is lower-right aligned: the last query sees every key, whatever L and S are. Axes: l query, s key positions.
"""

import math
from collections import OrderedDict

import torch
from torch import Tensor
from torch.compiler import is_dynamo_compiling

from attention.errors import ShapeError

Device = torch.device | str | None


def causal_mask(L: int, S: int | None = None, *, device: Device = None) -> Tensor:
    """Let query i see keys 0 to i + S - L.

    Shapes: result [L, S], bool. Memory: L S bytes, twice while building. Cost: two passes over L S bytes.
    Raises: ShapeError when a length is negative.
    """
    S = _checked("causal_mask", L, L if S is None else S)
    return torch.ones(L, S, dtype=torch.bool, device=device).tril(diagonal=S - L)


def sliding_window_mask(L: int, S: int | None = None, *, window: int, device: Device = None) -> Tensor:
    """Let each query see its own position and the `window - 1` before it.

    Shapes: result [L, S], bool. Memory: L S bytes, three times while building.
    Raises: ShapeError when a length is negative or window < 1.
    Source: Beltagy et al. 2020, arXiv:2004.05150, section 3.1.
    """
    if window < 1:
        raise ShapeError(f"sliding_window_mask: window={window}, wanted >= 1")
    S = _checked("sliding_window_mask", L, L if S is None else S)
    return causal_mask(L, S, device=device).triu(diagonal=S - L - window + 1)


def strided_mask(L: int, S: int | None = None, *, stride: int, device: Device = None) -> Tensor:
    """Let each query see every `stride`-th key going back from its own position.

    Shapes: result [L, S], bool. Memory: 8 L S bytes while building.
    Raises: ShapeError when a length is negative or stride < 1.
    Source: Child et al. 2019, arXiv:1904.10509, section 4.3.
    """
    if stride < 1:
        raise ShapeError(f"strided_mask: stride={stride}, wanted >= 1")
    S = _checked("strided_mask", L, L if S is None else S)
    distance_ls = torch.arange(S - L, S, device=device)[:, None] - torch.arange(S, device=device)[None, :]
    return (distance_ls >= 0) & (distance_ls % stride == 0)


def padding_mask(lengths: Tensor, S: int) -> Tensor:
    """Hide the keys behind each sequence's end.

    Shapes: lengths [B], whole numbers; result [B, 1, 1, S], bool.
    Raises: ShapeError when lengths is not one-dimensional.
    """
    if lengths.dim() != 1:
        raise ShapeError(f"padding_mask: lengths has shape {list(lengths.shape)}, wanted one length a sequence")
    return (torch.arange(S, device=lengths.device) < lengths[:, None])[:, None, None, :]


def additive(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """Turn a boolean mask into one that is added to scores.

    Shapes: result as mask. Memory: one tensor of `dtype`.
    """
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill_(~mask, -math.inf)


# The constructions that seed 004 compared, each an additive [L, L] mask in `dtype`; kept so that each is measured.


def mask_by_element_loop(L: int, *, dtype: torch.dtype = torch.float32, device: Device = None) -> Tensor:
    """Fill a Python list cell by cell, then hand it to the device. Cost: L² interpreter steps. Source: seed 004."""
    data = [0.0] * (L * L)
    for i in range(L):
        for j in range(i + 1, L):
            data[i * L + j] = -math.inf
    return torch.tensor(data, dtype=dtype).reshape(L, L).to(device)


def mask_by_full_triu(L: int, *, dtype: torch.dtype = torch.float32, device: Device = None) -> Tensor:
    """Fill with -inf, keep what lies above the diagonal. Cost: two passes over L² numbers. Source: seed 004."""
    return torch.full((L, L), -math.inf, dtype=dtype, device=device).triu(diagonal=1)


def mask_by_tril_fill(L: int, *, dtype: torch.dtype = torch.float32, device: Device = None) -> Tensor:
    """Lower triangle of ones, compare with zero, fill. Cost: five passes over L² numbers. Source: seed 004."""
    ones_ls = torch.tril(torch.ones(L, L, dtype=dtype, device=device))
    return torch.zeros(L, L, dtype=dtype, device=device).masked_fill(ones_ls == 0, -math.inf)


def mask_by_bool_tril(L: int, *, dtype: torch.dtype = torch.float32, device: Device = None) -> Tensor:
    """Lower triangle of booleans, inverted, filled. Cost: as tril-fill, on one byte a cell. Source: seed 004."""
    return additive(causal_mask(L, device=device), dtype)


def mask_by_cache(L: int, *, dtype: torch.dtype = torch.float32, device: Device = None) -> Tensor:
    """Look the mask up in the shared cache. Cost: one dictionary access once it is there. Source: seeds 000, 004."""
    return shared_masks.get(L, L, device=torch.device(device or "cpu"), dtype=dtype)


class CausalMaskCache:
    """Causal masks, built once per (L, S, device, dtype) and shared by all who ask; at most `max_entries` are kept.

    What `get` hands out is read-only: copy it before writing. A mask that was written to is noticed at the next `get`.

    Memory: at most max_entries x L S numbers. Source: seed 000, `_CAUSAL_MASK_CACHE`, which had no bound.
    """

    def __init__(self, max_entries: int = 8) -> None:
        if max_entries < 1:
            raise ShapeError(f"CausalMaskCache: max_entries={max_entries}, wanted >= 1")
        self.max_entries = max_entries
        self._masks: OrderedDict[tuple[int, int, torch.device, torch.dtype], tuple[Tensor, int]] = OrderedDict()

    def get(self, L: int, S: int, *, device: torch.device, dtype: torch.dtype) -> Tensor:
        """Return the boolean mask for torch.bool, the additive one for a floating dtype.

        Shapes: result [L, S]. Cost: a dictionary access; on a miss, as `causal_mask`, and the least recently used goes.
        Raises: RuntimeError when the stored mask was written to in the meantime.
        """
        if is_dynamo_compiling():  # a graph looks nothing up: it builds the mask, and may fuse it into what follows
            return _fresh(L, S, device, dtype)
        key = (L, S, device, dtype)
        found = self._masks.get(key)
        if found is None:
            return self._build(key)
        mask, version = found
        if mask._version != version:
            del self._masks[key]
            raise RuntimeError(f"CausalMaskCache: the mask for {key} was modified in place, it is shared and read-only")
        self._masks.move_to_end(key)
        return mask

    def _build(self, key: tuple[int, int, torch.device, torch.dtype]) -> Tensor:
        L, S, device, dtype = key
        # Built under inference_mode the mask could not be saved for a later backward, and would carry no version.
        with torch.inference_mode(False):
            mask = _fresh(L, S, device, dtype)
        if type(mask) is not Tensor:  # a tracing mode's stand-in holds no numbers for whoever asks next
            return mask
        self._masks[key] = (mask, mask._version)
        while len(self._masks) > self.max_entries:
            self._masks.popitem(last=False)
        return mask

    def __len__(self) -> int:
        return len(self._masks)

    def clear(self) -> None:
        """Forget every mask."""
        self._masks.clear()


#: One for the process, as in seed 000: masks depend on nothing but their key, and the cache is bounded.
shared_masks = CausalMaskCache()


def _fresh(L: int, S: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    mask = causal_mask(L, S, device=device)
    return mask if dtype == torch.bool else additive(mask, dtype)


def _checked(place: str, L: int, S: int) -> int:
    if L < 0 or S < 0:
        raise ShapeError(f"{place}: L={L}, S={S}, wanted lengths of at least 0")
    return S
