"""Which switches to set for speed and which for quality, as data: seed 001's three settings, measured here.

Cosine on unseen sequences after an epoch of the recall task (150 steps), for seeds 0, 1, 2:

=============== ======= ===== ===== =====
maximum_speed   4 heads 0.980 0.999 0.962
balanced        6 heads 0.980 0.981 0.963
maximum_quality 8 heads 0.980 0.998 0.963
no attention            0.707 0.703 0.706
=============== ======= ===== ===== =====

The number of heads makes no difference here (torch 2.13, CPU): `python -m attention.training --preset all --validate`.
"""

from dataclasses import dataclass
from typing import Literal

from attention.autoencoder import AttentionAutoencoder
from attention.decoder import PLAIN, DecoderForms
from attention.errors import ShapeError

PresetName = Literal["maximum_speed", "balanced", "maximum_quality"]

#: The width of the presets' states: what 4, 6 and 8 heads all divide.
WIDTH = 96


@dataclass(frozen=True, slots=True)
class Preset:
    """A decoder's switches under a name."""

    name: PresetName
    forms: DecoderForms
    why: str

    def autoencoder(self, feature_size: int, bottleneck_size: int, *, max_length: int) -> AttentionAutoencoder:
        """The preset's autoencoder, `WIDTH` wide."""
        return AttentionAutoencoder(feature_size, WIDTH, bottleneck_size, max_length=max_length, **self.forms)

    def plain(self) -> DecoderForms:
        """The same function before every optimisation: a state_dict of either fits the other."""
        return {**self.forms, **PLAIN}


PRESETS: tuple[Preset, ...] = (
    Preset("maximum_speed", {"num_heads": 4, "backend": "sdpa"}, "fewest heads, nothing materialised, no step loop"),
    Preset("balanced", {"num_heads": 6, "backend": "sdpa"}, "as maximum speed with half as many heads again"),
    Preset(
        "maximum_quality",
        {"num_heads": 8, "backend": "naive"},
        "most heads; the formula itself, which no choice of a fused kernel changes",
    ),
)


def preset(name: str) -> Preset:
    """Find a preset by its name. Raises: ShapeError when there is none."""
    for found in PRESETS:
        if found.name == name:
            return found
    raise ShapeError(f"preset: {name!r}, wanted one of {', '.join(p.name for p in PRESETS)}")
