"""
Tables of modality and VOI LUT sequences (DICOM PS3.3, C.11.1.1 and C.11.2.1.1).

Entries have 8 to 16 bits. Devices write one entry in a 16-bit word (US, SS or OW), two of 8 bits in
one (OW) or one in a byte (OB), whatever the descriptor's third number says; the length tells the
packing. If it fits neither, or if something stands above an entry's bits, the smoothest reading is
right: a table that is read wrongly is noise.
"""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

NUMBERS: Final = 3
"""Of a LUT Descriptor: entries, first value mapped, bits of an entry."""
WORD: Final = 2**16
BYTES: Final = frozenset({"OB"})


class Lut(NamedTuple):
    """A table and the value that its first entry stands for."""

    first: int
    entries: NDArray[np.int32]
    whole: bool
    """False if there are fewer entries than the descriptor says, or many more."""

    def apply(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Look values up; those before and after the table have its first and last entry."""
        at = np.clip(values.astype(np.int64) - self.first, 0, self.entries.size - 1)
        return self.entries[at].astype(np.float64)


def read(item: Dataset, *, signed: bool, little: bool) -> Lut:
    """
    Read the table of one item.

    Args:
        item: of a Modality LUT Sequence or VOI LUT Sequence.
        signed: True if some of the values that will be looked up are negative.
        little: the byte order of the file.

    Raises:
        ValueError: the item holds no table.
        Exception: whatever pydicom makes of a damaged item.
    """
    descriptor = _words(item, "LUTDescriptor", little=little).tolist()
    if len(descriptor) < NUMBERS:
        msg = f"the LUT Descriptor has {len(descriptor)} numbers, expected {NUMBERS}"
        raise ValueError(msg)
    count, first = descriptor[0] % WORD or WORD, descriptor[1]
    if signed and first >= WORD // 2:  # written unsigned
        first -= WORD
    elif not signed and first + count <= 0:  # written signed
        first += WORD
    words = _words(item, "LUTData", little=little)
    if not words.size:
        msg = "the LUT Data are empty"
        raise ValueError(msg)
    entries = _entries(item, words, count, descriptor[2])
    return Lut(first, entries, whole=entries.size == count and words.size <= count + 1)


def _entries(item: Dataset, words: NDArray[Any], count: int, bits: int) -> NDArray[np.int32]:
    """Read the entries: words, or bytes if there are half as many words (as in DCMTK)."""
    readings = [words[:count]]
    if words.size < count:
        readings.insert(0, _bytes(item, words)[:count])
    elif 0 < bits < WORD.bit_length() - 1 and words.max() >= 2**bits:
        readings.append(words[:count] & (2**bits - 1))
    return min(readings, key=_roughness).astype(np.int32)


def _roughness(entries: NDArray[Any]) -> float:
    """Compute the mean step from entry to entry as a share of their range."""
    values = entries.astype(np.int64)
    steps = np.abs(np.diff(values))
    return float(steps.mean() / np.ptp(values)) if np.ptp(values) else 1.0


def _words(item: Dataset, keyword: str, *, little: bool) -> NDArray[Any]:
    """The 16-bit numbers of an attribute, whichever VR they came under."""
    value = item[keyword].value
    if isinstance(value, bytes):
        whole = value[: len(value) // 2 * 2]
        return np.frombuffer(whole, "<u2" if little else ">u2").astype(np.int32)
    return np.atleast_1d(np.asarray(value, np.int32))


def _bytes(item: Dataset, words: NDArray[Any]) -> NDArray[Any]:
    """Return 8-bit numbers, the lower byte of each word first."""
    element = item["LUTData"]
    if element.VR in BYTES:
        return np.frombuffer(element.value, np.uint8)
    return (words % WORD).astype("<u2").view(np.uint8)
