"""
Functional groups of objects with one frame (DICOM PS3.3, C.7.6.16).

Enhanced and multi-frame objects keep window, tables, laterality and spacing there instead of beside
the pixels; what stands beside them has precedence, then the frame's own group, then the shared one.
"""

from contextlib import suppress
from typing import Final

from pydicom import Dataset

from edge.inference.image.attributes import WRONG, items

GROUPS: Final = ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence")
OTHERWISE: Final = {"FrameLaterality": "ImageLaterality"}
"""Attributes with a name of their own in the groups, and the usual one."""


def bring_up(header: Dataset) -> None:
    """
    Put what the first frame's functional groups say beside the attributes of the object itself.
    """
    for keyword in GROUPS:
        with suppress(*WRONG):
            for group in items(header, keyword)[:1]:
                _bring_up(group, header)


def _bring_up(group: Dataset, header: Dataset) -> None:
    for macro in group:
        if macro.VR == "SQ":
            for item in macro.value[:1]:
                _fill(header, item)


def _fill(header: Dataset, item: Dataset) -> None:
    """Add what the object itself lacks or leaves empty."""
    for tag in item.keys():  # noqa: SIM118 - a Dataset iterates over its elements, decoding them
        if tag not in header or not _says(header, tag):
            header[tag] = item.get_item(tag)
    for theirs, ours in OTHERWISE.items():
        if item.get(theirs) and not header.get(ours):
            setattr(header, ours, item.get(theirs))


def _says(header: Dataset, tag: int) -> bool:
    return bool(getattr(header.get_item(tag), "value", None))
