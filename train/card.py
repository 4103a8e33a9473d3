"""The model card (after Mitchell et al. 2019), and the tables it shares with the report: every number comes from the run."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from train import wording
from train.datasets import SIDES

Row = tuple[str, ...]

CARD: Final = """\
# Model card: mammo-{name}

Written by `mammo-train report` from the numbers of the run; change the recipe or the template, not this page.

**{notice}**

## What it is

{summary}.

MobileNetV2 (width {alpha:g}) with classification layers of its own, input {height} x {width}. It gives each mammogram a probability of
malignancy, and a small map of where that came from. TensorFlow Lite with float16 weights, {size} MB.

## Intended use

{intended_use}

## Data

`{data}`: {images} mammograms of {patients} patients, split by patient: no woman stands on two sides.

{split}

Validation patients chose the epoch, the calibration and the threshold. Nothing was chosen by the test patients.
{refused} images were refused by preprocessing and left out.

{about_data}

## Scores on the {test_patients} test patients

The exported file, run by the daemon's own engine, calibrated. Intervals are 95 %, from a bootstrap over patients.

{scores}

At the operating point (malignant from {threshold:.3f}, chosen for sensitivity {sensitivity:.2f} on the validation patients) the confusion
matrix is:

{confusion}

Scores in the band from {band_low:.3f} to {band_high:.3f} are published as `indeterminate`.

## The exported file

{export}

## How it was trained

    {command}

{training}

## Limits

- There are two classes, benign and malignant finding. What the model says of a normal mammogram was never tested.
- {prevalence:.0%} of the training images are malignant, in screening fewer than 1 % are: the probability is one among women already
  called back, and is far too high for anyone else.
- Machines, films and women unlike those described under "Data" were not measured.
- At {height} x {width} a mass can be seen, a microcalcification cannot.
"""


def card(notes: Mapping[str, Any], history: Mapping[str, Any], exported: Mapping[str, Any]) -> str:
    """The model card in Markdown."""
    recipe, test, sides = notes["recipe"], exported["test"], notes["split"]
    point = exported["operating_point"]
    return CARD.format(
        name=recipe["name"],
        notice=wording.NOTICE,
        summary=recipe["summary"],
        alpha=recipe["alpha"],
        height=recipe["input"]["height"],
        width=recipe["input"]["width"],
        size=_megabytes(exported["bytes"]),
        intended_use=wording.INTENDED_USE,
        data=", ".join(notes["data"]),
        images=sum(side["images"] for side in sides.values()),
        patients=sum(side["patients"] for side in sides.values()),
        split=_markdown(("side", "images", "malignant", "patients"), split_rows(notes)),
        refused=len(notes["refused"]) or "No",
        about_data=exported["about_data"].strip(),
        test_patients=test["patients"],
        scores=_markdown(("score", "value"), score_rows(test)),
        threshold=point["threshold"],
        sensitivity=recipe["sensitivity"],
        confusion=_markdown(("", "called benign", "called malignant"), confusion_rows(test["confusion"])),
        band_low=point["band_low"],
        band_high=point["band_high"],
        export=_markdown(("what", "value"), export_rows(exported)),
        command=notes["command"],
        training=_markdown(("what", "value"), training_rows(notes, history)),
        prevalence=sides["train"]["malignant"] / sides["train"]["images"],
    )


def split_rows(notes: Mapping[str, Any]) -> list[Row]:
    """Images, malignant images and patients of each side."""
    return [(side, *(str(notes["split"][side][name]) for name in ("images", "malignant", "patients"))) for side in SIDES]


def score_rows(numbers: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Every score with its interval where it has one."""
    names = {
        "auc": "AUC",
        "average_precision": "average precision",
        "accuracy": "accuracy",
        "sensitivity": "sensitivity (recall)",
        "specificity": "specificity",
        "precision": "precision",
        "f1": "F1",
        "brier": "Brier score",
        "ece": "expected calibration error",
    }
    return [(text, _with_interval(numbers, name)) for name, text in names.items()]


def confusion_rows(counts: Mapping[str, int]) -> list[Row]:
    """Truth by call."""
    return [
        ("is benign", str(counts["true_negative"]), str(counts["false_positive"])),
        ("is malignant", str(counts["false_negative"]), str(counts["true_positive"])),
    ]


def export_rows(exported: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Agreement with Keras, size, and what the daemon decides and refuses."""
    agreement, decided = exported["agreement"], exported["test"]["decided"]
    rows = [
        ("bundle", exported["bundle_id"]),
        ("size of the model file", f"{_megabytes(exported['bytes'])} MB"),
        ("largest difference from Keras", f"{agreement['max_difference']:.5f} over {agreement['images']} images"),
        ("mean difference from Keras", f"{agreement['mean_difference']:.5f}"),
        ("test AUC, exported minus Keras", f"{agreement['test_auc_change']:+.4f}"),
        ("test images decided (not indeterminate)", f"{decided['share']:.1%}"),
        *((f"{name} among the decided", f"{decided[name]:.3f}") for name in ("accuracy", "sensitivity", "specificity") if name in decided),
        *((f"{side} images refused by the input gate", f"{share:.2%}") for side, share in exported["gate"].items()),
    ]
    if "max_difference_tflite_runtime" in agreement:
        rows.insert(4, ("largest difference of tflite-runtime from litert", f"{agreement['max_difference_tflite_runtime']:.1e}"))
    return rows


def training_rows(notes: Mapping[str, Any], history: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Phases, kept epoch, durations and versions."""
    phases = ", ".join(f"{phase['name']} {phase['epochs']} epochs at {phase['learning_rate']:g}" for phase in notes["recipe"]["phases"])
    return [
        ("phases", phases),
        ("kept epoch", f"{history['best_epoch']} of {len(history['epochs'])}, by validation AUC"),
        ("preparing, seconds", str(notes["times"]["prepare_s"])),
        ("training, seconds", str(notes["times"]["train_s"])),
        ("seed", str(notes["recipe"]["seed"])),
        *((name, version) for name, version in notes["versions"].items()),
    ]


def _with_interval(numbers: Mapping[str, Any], name: str) -> str:
    interval = numbers["intervals_95"].get(name)
    return f"{numbers[name]:.3f}" + (f" ({interval[0]:.3f} to {interval[1]:.3f})" if interval else "")


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f}"


def _markdown(head: Row, rows: Iterable[Row]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
