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
DOMAINS: Final = (
    "Scanned films and digital mammograms, as far as the data say which is which: a model "
    "measured on one of them says little of the other."
)
NORMAL: Final = (
    "Test mammograms in which nobody found anything, at the default operating point. They count as "
    "benign above; refused ones count as p = 0.5."
)
PROMISE: Final = (
    "A threshold looks best on the patients that chose it. Held out, each fifth of the validation "
    "patients is called by a calibration and a threshold that were fitted on the other four:"
)
DIGITAL: Final = (
    "{data}: no weight was learnt from them. The gate, digital's calibration and its thresholds "
    "were fitted on them, which flatters the scores but AUC, and what is refused. Scores are those "
    "at digital's own default operating point; a refused mammogram counts as p = 0.5. "
    "Resampling raises a calibration error, so its interval lies high."
)
AGAINST: Final = (
    "Both bundles on the same test films, each with its own preparation and calibration. The "
    "interval of the difference is paired: 95 %, from a bootstrap over patients."
)
OTHER_SPLIT: Final = (
    " The other bundle was split otherwise: it may have learnt from some of these films, which "
    "flatters it."
)
EXAMS: Final = (
    "As an exam says it: raw logits of CC and MLO averaged, calibrated on breasts of validation "
    "patients; an exam is its higher breast, which no calibration was fitted to. Data sets name no "
    "exams, so all films of a woman count as one."
)
SCREENING: Final = (
    "Among screened women 5.9 of a thousand have cancer, not every second. Were nothing else "
    "different, the same sensitivity and specificity would give:"
)
ELSEWHERE: Final = "Mammograms from elsewhere, which only report: nothing was chosen by them."
CHANCE: Final = (
    "Where this model is not better than chance, or not shown to be: the AUC's interval reaches .5."
)
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
