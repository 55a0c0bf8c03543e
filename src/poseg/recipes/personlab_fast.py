"""PersonLab fast: as `personlab_small`, but all heads at stride 16 and a smaller picture.

run     poseg train personlab_fast --data DATA --out runs/fast --set lessons=LESSONS \
        --set start.published=bodypix_mnv1_075_s16.npz
then    poseg export runs/fast -o fast.onnx
expect  what the card of the model says that comes along (`poseg models`)
"""

from __future__ import annotations

from poseg.recipes.data_at_hand import photographs
from poseg.recipes.facts_at_hand import DATA, LICENCES, TEACHERS
from poseg.systems.personlab import PersonLab
from poseg.training.augment import Augmentation
from poseg.training.loader import View
from poseg.training.recipe import Facts, Recipe
from poseg.training.schedule import Schedule

MEAN = STD = (128.0, 128.0, 128.0)

RECIPE = Recipe(
    name="fast",
    system=PersonLab(backbone="mobilenet_v1_075", stride=16, context_levels=2, intermediate="corrected"),
    view=View(385, MEAN, STD, Augmentation(person_px=(32.0, 450.0))),
    schedule=Schedule(steps=7000, batch_size=12, rate=4e-4, backbone_rate=0.1, average_decay=0.999, save_every=200),
    data=photographs,
    facts=Facts(size_px=513, licences=LICENCES, data=DATA, notes=TEACHERS),
)
