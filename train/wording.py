"""The words of a bundle and a model card."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from train.errors import TrainError

NOTICE: Final = "Research software, not a medical device."
INTENDED_USE: Final = (
    f"{NOTICE} For research and engineering on mammograms in which a "
    "radiologist already saw a finding: estimates how likely"
    " it is malignant. Not for screening, not for diagnosis, not for any decision about a patient."
)
LICENCE: Final = "Weights: Apache-2.0. Pictures in known/: as ATTRIBUTION says."
POINTING: Final = (
    "Malignant test films whose lesions are outlined; a hit is a highest point of "
    "the map in an outlined malignant lesion, or not further"
    " from its box than the customary 15 pixels of a picture of 500. "
    "Chance is the share of the breast that this covers."
)
SOURCES: Final = (
    "How far the calibrated probability of a validation film moves when the film "
    "comes otherwise, through files on disk and the daemon's"
    " own decoder, preparation, gate and engine. A refused variant counts as p = 0.5."
)
ELSEWHERE: Final = "Mammograms from elsewhere, which only report: nothing was chosen by them."
_NOTHING_KNOWN: Final = (
    "The pictures in known/ are training images of this model. Their "
    "owner gave no licence; do not pass them on.\n"
)


def about_data(path: Path | None) -> str:
    """
    Read what is known about the training images, or say that nothing is.

    Raises:
        TrainError: the file cannot be read.
    """
    if path is None:
        return _NOTHING_KNOWN
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"--about-data {path}: {error}"
        raise TrainError(msg) from None


def with_interval(numbers: Mapping[str, Any], name: str) -> str:
    """Write a number with its 95 % interval if it has one; a dash if there is no number."""
    if numbers[name] is None:
        return "-"
    interval = numbers["intervals_95"].get(name)
    return f"{numbers[name]:.3f}" + (
        f" ({interval[0]:.3f} to {interval[1]:.3f})" if interval else ""
    )
