"""
The patients of CBIS-DDSM whose two ids belong to one woman.

P_01136 (calcifications) and P_01138 (masses) show the same films, scanned twice. The scans differ
in size and bytes, so that the search for equal files does not find them.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from train.data.index import Index
from train.progress import say

SAME_WOMAN: Final[Mapping[str, str]] = {"P_01138": "P_01136"}
"""Ids of CBIS-DDSM, each with the other id of the same woman."""


def united(index: Index) -> Index:
    """
    Give all films of one woman one patient id, so that no split tears her apart.

    An index with only one of her ids stays as it is. That every reader's index comes here makes an
    index CSV or a folder with the ids of CBIS-DDSM mean the same as the archive.
    """
    both = {old: new for old, new in SAME_WOMAN.items() if {old, new} <= index.patients}
    for old, new in both.items():
        say(f"{index.source}: patients {new} and {old} are one woman, filed as {new}")
    return replace(
        index,
        films=tuple(
            replace(film, patient=both.get(film.patient, film.patient)) for film in index.films
        ),
    )
