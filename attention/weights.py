"""Forms of one module hold the same weights joined or apart: a state_dict of either loads into the other."""

from collections.abc import Mapping
from typing import Any

import torch

from attention.errors import ShapeError


def convert_weights(state_dict: dict[str, Any], joint: str, parts: Mapping[str, int], *, dim: int, join: bool) -> None:
    """Rewrite what the other form saved, in place: the parts joined along `dim` (`join`), or the joint weight split.

    `parts` has each part's name and its length along `dim`, in order. What is saved in the wanted form already, or not
    at all, is left as it is.
    Raises: ShapeError when a length is another: joined, weights of other heads may still have the right size.
    """
    if join and all(part in state_dict for part in parts):
        _check_lengths(state_dict, parts, dim)
        state_dict[joint] = torch.cat([state_dict.pop(part) for part in parts], dim=dim)
    elif not join and joint in state_dict:
        _check_lengths(state_dict, {joint: sum(parts.values())}, dim)
        state_dict.update(zip(parts, state_dict.pop(joint).split(tuple(parts.values()), dim=dim), strict=True))


def _check_lengths(state_dict: Mapping[str, Any], wanted: Mapping[str, int], dim: int) -> None:
    met = [list(state_dict[name].shape) for name in wanted]
    if any(len(shape) <= dim or shape[dim] != length for shape, length in zip(met, wanted.values(), strict=True)):
        lengths = ", ".join(map(str, wanted.values()))
        raise ShapeError(f"{', '.join(wanted)}: met {met}, wanted {lengths} along axis {dim}")
