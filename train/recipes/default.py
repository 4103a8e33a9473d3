"""
The shipped model: a map of lesions, every cell of the breast at 800 x 512 taught by lesion boxes.

The pieces that teach it are rendered as other machines would.

    mammo-train fit default --data cbis-ddsm/mass-800.csv --data cbis-ddsm/full-299.csv --out
    runs/default

The score is the highest cell of the malignant map averaged over 5 x 5 cells. 6,000 steps took 78
minutes on one core of a machine that did much other work; 600 steps more, in which a copy that
rounds as int8 does learns to answer alike, took 10. On 231 test patients (672 mammograms) the int8
file has AUC 0.790 (95 % interval 0.743 to 0.835). Without one digital mammogram to learn from, it
has 0.858 (0.791 to 0.921) on 158 of CDD-CESM, malignant against the rest.
`docs/quality/experiments.md` says what was tried on the way, and why nothing stands beside the map.

Microcalcifications are lost at this resolution: films of them are ranked little better than by
chance.
"""

from dataclasses import replace
from typing import Final

from train.recipe import Dense, Recipe
from train.recipes.layers import RECIPE as LAYERS

RECIPE: Final[Recipe] = replace(
    LAYERS,
    name="default",
    summary=(
        "MobileNetV2 with a map of lesions, every cell of the breast at 800 x 512 taught by "
        "boxes, on pieces rendered as other machines would"
    ),
    input=replace(LAYERS.input, channels=1),
    crops=None,
    linear=None,
    dense=Dense(
        steps=6000,
        height=448,
        width=320,
        channels=128,
        dropout=0.25,
        learning_rate=1e-4,
        head_learning_rate=7e-4,
        warmup_steps=150,
        weight_decay=0.01,
        clip_norm=1.0,
        ema=0.997,
        frozen_blocks=3,
        calcifications=0.5,
        copies=0.2,
        without_lesion=0.2,
        int8_steps=600,
    ),
    batch_size=8,
)
