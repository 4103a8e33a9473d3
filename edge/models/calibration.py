"""From a raw score to a probability, in plain Python: the daemon's supervisor needs it as well."""

import math
from typing import Final

from edge.models.manifest import Platt

TINY: Final = 1e-7
"""Keeps the logit of a raw score of exactly 0 or 1 finite."""


def sigmoid(logit: float) -> float:
    """Return 1 / (1 + exp(-logit)), in a form that no logit overflows."""
    return 0.5 + 0.5 * math.tanh(logit / 2)


def logit(raw: float) -> float:
    """Return the logit of a raw score (0 to 1), finite at both ends."""
    inside = min(1 - TINY, max(TINY, raw))
    return math.log(inside / (1 - inside))


def calibrate(raw: float, platt: Platt) -> float:
    """Turn a raw score into a probability: Platt scaling on its logit (Platt, 1999)."""
    return calibrate_logit(logit(raw), platt)


def calibrate_logit(of: float, platt: Platt) -> float:
    """Turn a logit, or a mean of several, into a probability by Platt scaling."""
    return sigmoid(platt.slope * of + platt.intercept)
