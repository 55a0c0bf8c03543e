"""PersonLab fast: the part of `personlab_small` that ends at stride 16, and one look at each picture.

run     as `personlab_small`, with this name
or      cut it out of a trained `small`, as was done for the model that comes along: a pyramid that ends at stride 16 is
        a part of one that ends at 8, and export takes the tensors that the network has
        poseg export runs/small --wise-ft-alpha 0.5 -o fast.float.onnx --set name=fast --set system.stride=16 \
        --set facts.inference.long_edge_px=705 --set facts.inference.scales=1 --set facts.inference.flip=false \
        --set facts.inference.adaptive=false --set facts.inference.mask_refiner=
last    poseg quantize fast.float.onnx --images DATA/people_unlabelled/flickr8k_500 -o fast.onnx
expect  what the card of the model says that comes along (`poseg models`)
"""

from __future__ import annotations

from dataclasses import replace

from poseg.recipes.personlab_small import RECIPE as SMALL
from poseg.recipes.personlab_small import SYSTEM
from poseg.runtime.inference import InferenceConfig
from poseg.training.recipe import Recipe

RECIPE: Recipe = replace(
    SMALL,
    name="fast",
    system=replace(SYSTEM, stride=16),
    facts=replace(SMALL.facts, inference=InferenceConfig(705)),
)
