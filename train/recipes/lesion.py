"""
Is this mass malignant? Pieces of 128 pixels about each mass, at the scale at which `default` sees the whole mammogram.

    mammo-train fit lesion --data cbis-ddsm/mass-800.csv --data cbis-ddsm/full-299.csv --out runs/lesion

The first stage of `default`, alone: 4 minutes on two busy cores, preparing included. Malignant against benign masses of held-out
patients, 503 pieces of 137 patients: AUC 0.735 (95 % interval 0.663 to 0.804); that counts each mass at 800 and at 299 pixels. It
scores pieces, not mammograms: `mammo-train evaluate` measures it, and it is not exported.
"""

from dataclasses import replace
from typing import Final

from train.recipe import Recipe
from train.recipes.default import RECIPE as DEFAULT

RECIPE: Final[Recipe] = replace(DEFAULT, name="lesion", summary="MobileNetV2 on pieces of 192 x 192 about masses", linear=None)
