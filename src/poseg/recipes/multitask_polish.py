"""The last steps of `multitask_small`: LSP's own joints most of the time, which its authors checked; LSPET's are noisy.

run     poseg train multitask_polish --data DATA --out runs/multitask --set start.weights=runs/first
last    poseg export runs/multitask -o multitask.float.onnx
        poseg quantize multitask.float.onnx --images DATA/lspet/images -o multitask.onnx
expect  what the card of the model says that comes along (`poseg models`)
time    a quarter of an hour on two cores with bfloat16 instructions
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from poseg.recipes.data_at_hand import sports_people
from poseg.recipes.multitask_small import RECIPE as FIRST
from poseg.training.loader import Share


def mostly_lsp(data: Path) -> tuple[Share, ...]:
    """As in `multitask_small`, with LSP's training part three times in five."""
    lsp, extension, nobody = sports_people(data)
    return replace(lsp, weight=6.0), replace(extension, weight=4.0), replace(nobody, weight=0.5)


RECIPE = replace(FIRST, schedule=replace(FIRST.schedule, steps=2000, rate=6e-4, warm_up_steps=50), data=mostly_lsp)
