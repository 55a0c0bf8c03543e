"""Effects: from an image and its people to another image.

blur, cutout, grey, replace     everything but people
ghost, pixelate                 people removed, or hidden
glow, outline, sticker, winged  something put on people, around or behind them
taller, thinner, wider          people of another shape
"""

from __future__ import annotations

from poseg.effects.background import Blur, Cutout, Grey, Replace
from poseg.effects.effect import Chain, Effect, EffectResult, SkippedPerson, chain
from poseg.effects.ghost import Ghost
from poseg.effects.outline import Glow, Outline
from poseg.effects.pixelate import Pixelate
from poseg.effects.sticker import Sticker
from poseg.effects.thinner import Taller, Thinner, Wider
from poseg.effects.winged import Winged

__all__ = ["EFFECTS", "Blur", "Chain", "Cutout", "Effect", "EffectResult", "Ghost", "Glow", "Grey", "Outline",
           "Pixelate", "Replace", "SkippedPerson", "Sticker", "Taller", "Thinner", "Wider", "Winged",
           "chain"]  # fmt: skip

# By their names on the command line, in alphabetical order.
EFFECTS: dict[str, type[Effect]] = {
    "blur": Blur,
    "cutout": Cutout,
    "ghost": Ghost,
    "glow": Glow,
    "grey": Grey,
    "outline": Outline,
    "pixelate": Pixelate,
    "replace": Replace,
    "sticker": Sticker,
    "taller": Taller,
    "thinner": Thinner,
    "wider": Wider,
    "winged": Winged,
}
