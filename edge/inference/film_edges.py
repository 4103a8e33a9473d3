"""Cut off the bright edges of a film."""

from typing import Final

import numpy as np

from edge.inference.levels import Levels
from edge.inference.morphology import Bits

EDGE: Final = 0.05
"""Share of a side within which a film's bright edge may lie."""
EDGE_STEP: Final = 38
"""Levels of 256 by which a film's bright edge is brighter than the air beside it."""
EDGE_SHARE: Final = 0.3
"""The share of its length over which a film's edge is brighter than the air beside it."""
SEEN: Final = 0.15
"""Share of a side along which air must be seen to find the film's edge there."""


def without_edges(levels: Levels, bright: Bits) -> tuple[slice, slice]:
    """Give the rows and columns without bright edges, which lie between a side and air."""
    rows, columns = levels.shape
    top, bottom = _edge(levels, bright), _edge(levels[::-1], bright[::-1])
    left, right = _edge(levels.T, bright.T), _edge(levels.T[::-1], bright.T[::-1])
    return slice(top, rows - bottom), slice(left, columns - right)


def _edge(levels: Levels, bright: Bits) -> int:
    """Count the first rows that are a film's edge: brighter than air a little further inside."""
    depth = max(1, round(EDGE * len(levels)))
    if depth >= len(levels):
        return 0
    air = bright[depth] == 0
    if air.mean() < SEEN:
        return 0
    steps = levels[:depth, air].astype(np.int16) - levels[depth, air]
    edges = np.flatnonzero((steps > EDGE_STEP).mean(axis=1) >= EDGE_SHARE)
    return int(edges[-1]) + 1 if len(edges) else 0
