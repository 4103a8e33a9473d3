"""
Modality LUT or rescale, VOI LUT or window (DICOM PS3.3, C.11.1 and C.11.2).

One that makes no sense is left out, as viewers do, and its picture gets the flag `unapplied-lut`.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from edge.inference.image import lut
from edge.inference.image.attributes import WRONG, items, number, text

Values: TypeAlias = NDArray[np.float64]
"""Shape (number of bit patterns,)."""


def modality(plain: NDArray[np.int32], header: Dataset) -> tuple[Values, bool]:
    """
    Apply the modality LUT or rescale slope and intercept.

    Args:
        plain: the stored value of each bit pattern.
        header: says how.

    Returns:
        Their values in the units that a window is given in, and False if what the header asks for
        could not be applied.
    """
    try:
        found, whole = _modality(plain, header)
    except WRONG:
        return plain.astype(np.float64), False
    if found.min() < found.max():
        return found, whole
    return plain.astype(np.float64), False


def voi(values: Values, header: Dataset, used: NDArray[np.bool_]) -> tuple[Values | None, bool]:
    """
    Apply the VOI LUT, else the first window.

    Args:
        values: after the modality LUT, for each bit pattern.
        header: says how.
        used: the bit patterns that occur.

    Returns:
        Shares of white from 0 to 1, None without a usable one, and False if one could not be
        applied.
    """
    complete = text(header, "VOILUTFunction") in {"", "LINEAR", *FUNCTIONS}
    for transform in (_table, _window):
        try:
            found = transform(values, header)
        except WRONG:
            complete = False
            continue
        if found is None:
            continue
        shares, whole = found
        complete = complete and whole
        if not _hides(shares[used], values[used]):
            return shares, complete
        complete = False
    return None, complete


def spread(values: Values, ends: tuple[float, float] | None = None) -> Values:
    """Stretch values, or the part of them between two ends, over 0 to 1."""
    low, high = ends or (float(values.min()), float(values.max()))
    return np.clip((values - low) / max(high - low, 1e-12), 0, 1)


def _modality(plain: NDArray[np.int32], header: Dataset) -> tuple[Values, bool]:
    if tables := items(header, "ModalityLUTSequence"):
        table = _read(tables[0], plain, header)
        return table.apply(plain), table.whole
    slope, intercept = number(header, "RescaleSlope"), number(header, "RescaleIntercept")
    if slope is not None and intercept is not None:
        return plain.astype(np.float64) * slope + intercept, True
    if slope not in {None, 1} or intercept not in {None, 0}:
        msg = "one of rescale slope and intercept is absent"
        raise ValueError(msg)
    return plain.astype(np.float64), True


def _read(item: Dataset, values: NDArray[Any], header: Dataset) -> lut.Lut:
    little = header.original_encoding[1] is not False
    return lut.read(item, signed=bool(values.min() < 0), little=little)


def _table(values: Values, header: Dataset) -> tuple[Values, bool] | None:
    tables = items(header, "VOILUTSequence")
    if not tables:
        return None
    table = _read(tables[0], values, header)
    return spread(table.apply(values)), table.whole


def _window(values: Values, header: Dataset) -> tuple[Values, bool] | None:
    centre, width = number(header, "WindowCenter"), number(header, "WindowWidth")
    if centre is None and width is None:
        return None
    function = text(header, "VOILUTFunction")
    narrowest = 0.0 if function in FUNCTIONS else 1.0
    if centre is None or width is None or width <= 0 or width < narrowest:
        msg = "a window needs a centre and a width of 1 or more"
        raise ValueError(msg)
    return FUNCTIONS.get(function, _linear)(values, centre, width), True


def _linear(values: Values, centre: float, width: float) -> Values:
    """C.11.2.1.2.1; a width of 1 is a threshold."""
    return np.clip((values - (centre - 0.5)) / max(width - 1, 1e-6) + 0.5, 0, 1)


def _linear_exact(values: Values, centre: float, width: float) -> Values:
    """C.11.2.1.3.2."""
    return np.clip((values - centre) / width + 0.5, 0, 1)


def _sigmoid(values: Values, centre: float, width: float) -> Values:
    """C.11.2.1.3.1; its ends are spread to black and white, which changes no order and no ratio."""
    with np.errstate(over="ignore"):
        return spread(1 / (1 + np.exp(-4 * (values - centre) / width)))


FUNCTIONS: Final[Mapping[str, Callable[[Values, float, float], Values]]] = {
    "LINEAR_EXACT": _linear_exact,
    "SIGMOID": _sigmoid,
}


def _hides(shares: Values, values: Values) -> bool:
    """Tell if a picture that is not flat is shown as one grey: its window lies beside it."""
    return bool(shares.min() == shares.max() and values.min() < values.max())
