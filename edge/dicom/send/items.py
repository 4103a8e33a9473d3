"""Coded concepts and content items of structured reports (PS3.3, C.17.3), as data sets."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pydicom import Dataset

SCHEME: Final = "99MAMMOEDGE"
"""The designator of the coding scheme that has our own concepts."""
LONGEST_LABEL: Final = 64
"""Characters of a code's meaning (VR LO)."""
LONGEST_TEXT: Final = 1024
"""Characters of a text, of which a reader makes one paragraph."""


@dataclass(frozen=True, slots=True)
class Code:
    """A coded concept."""

    value: str
    scheme: str
    meaning: str

    def item(self) -> Dataset:
        """Return the item of a code sequence."""
        made = Dataset()
        made.CodeValue = self.value
        made.CodingSchemeDesignator = self.scheme
        made.CodeMeaning = plain(self.meaning, LONGEST_LABEL)
        return made


@dataclass(frozen=True, slots=True)
class Instance:
    """A reference to a stored object."""

    sop_class: str
    uid: str

    def item(self) -> Dataset:
        """Return the item of a sequence of references."""
        made = Dataset()
        made.ReferencedSOPClassUID = self.sop_class
        made.ReferencedSOPInstanceUID = self.uid
        return made


def plain(text: str, longest: int = LONGEST_TEXT) -> str:
    """Write a text in ASCII, which is part of every character set that a patient's name may use."""
    return text.encode("ascii", "replace").decode().replace("\\", "/")[:longest]


def container(name: Code, below: Sequence[Dataset], relation: str | None = "CONTAINS") -> Dataset:
    """Return a heading with what stands below it; the root has no relation."""
    made = _item("CONTAINER", name, relation)
    made.ContinuityOfContent = "SEPARATE"
    made.ContentSequence = list(below)
    return made


def code(relation: str, name: Code, value: Code, below: Sequence[Dataset] = ()) -> Dataset:
    """Return an item whose value is a concept."""
    made = _item("CODE", name, relation)
    made.ConceptCodeSequence = [value.item()]
    if below:
        made.ContentSequence = list(below)
    return made


def text(relation: str, name: Code, value: str) -> Dataset:
    """Return an item whose value is text."""
    made = _item("TEXT", name, relation)
    made.TextValue = plain(value)
    return made


def uidref(relation: str, name: Code, value: str) -> Dataset:
    """Return an item whose value is a UID."""
    made = _item("UIDREF", name, relation)
    made.UID = value
    return made


def number(relation: str, name: Code, value: str, unit: Code) -> Dataset:
    """Return a measured number, written as a decimal string of up to 16 characters."""
    made = _item("NUM", name, relation)
    measured = Dataset()
    measured.NumericValue = value
    measured.MeasurementUnitsCodeSequence = [unit.item()]
    made.MeasuredValueSequence = [measured]
    return made


def image(relation: str, name: Code, instance: Instance) -> Dataset:
    """Return a reference to an image."""
    made = _item("IMAGE", name, relation)
    made.ReferencedSOPSequence = [instance.item()]
    return made


def _item(kind: str, name: Code, relation: str | None) -> Dataset:
    made = Dataset()
    if relation is not None:
        made.RelationshipType = relation
    made.ValueType = kind
    made.ConceptNameCodeSequence = [name.item()]
    return made
