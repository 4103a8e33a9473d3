"""
A classifier of masses: pieces of 160 pixels about each mass, benign or malignant.

The scale is that at which `default` sees the whole mammogram.

    mammo-train fit lesion --data cbis-ddsm/mass-800.csv --data cbis-ddsm/full-299.csv --out
    runs/lesion

The first stage of `default`, alone: 17 minutes on two cores that did other work, too. Malignant
against benign masses of held-out patients, 501 pieces of 137 patients: AUC 0.809 (95 % interval
0.750 to 0.862); that counts each mass at 800 and at 299 pixels. It scores pieces, not mammograms:
`mammo-train evaluate` measures it, and it is not exported.
"""

from dataclasses import replace
from typing import Final

from train.recipe import Recipe
from train.recipes.layers import RECIPE as DEFAULT

RECIPE: Final[Recipe] = replace(
    DEFAULT, name="lesion", summary="MobileNetV2 on pieces of 160 x 160 about masses", linear=None
)
