"""The tables that the report and the model card share: every number comes from the run."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final, TypeAlias

from train.data.datasets import SIDES
from train.evaluation import robustness, subgroups

Numbers: TypeAlias = Mapping[str, Any]

SCORES: Final = {
    "auc": "AUC",
    "average_precision": "average precision (AUPRC)",
    "accuracy": "accuracy",
    "sensitivity": "sensitivity (recall)",
    "specificity": "specificity",
    "precision": "precision",
    "f1": "F1",
    "brier": "Brier score",
    "ece": "expected calibration error",
    "calibration_slope": "calibration slope",
    "calibration_intercept": "calibration intercept",
}
ANCHORS: Final = (
    (
        "radiologist's own BI-RADS: mass lesions / all lesions / whole images",
        "official test",
        "AUC .832 / .790 / .769",
    ),
    (
        "best published, whole image, EfficientNet at 1152 x 896: single view / two views",
        "official test",
        "AUC .834 / .866",
    ),
    ("fine-tuned VGG16 on lesion crops", "official test", "AUC .844"),
    ("MobileNetV2 at 512 x 512, whole image", "official test", "accuracy 66.5 %"),
)

ON: Final = {
    "held out": "held-out patients",
    "given": "test patients that the data name",
    "both": "test patients, some held out",
}
"""Whom the model is measured on, by `data.test_side` of the evaluation."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of text."""

    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]

    def markdown(self) -> str:
        """As GitHub writes one."""
        lines = [self.head, tuple("---" for _ in self.head), *self.rows]
        return "\n".join(
            f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines
        )

    def html(self) -> str:
        """With the first column as heads of the rows."""
        top = "".join(f"<th>{escape(name)}</th>" for name in self.head)
        return f"<table><tr>{top}</tr>{''.join(map(_line, self.rows))}</table>"


def split(notes: Numbers) -> Table:
    """Images, malignant images and patients of each side."""
    names = ("images", "malignant", "patients")
    return Table(
        ("side", *names),
        [(side, *(str(notes["split"][side][name]) for name in names)) for side in SIDES],
    )


def scores(test: Numbers) -> Table:
    """Every score with its interval over patients."""
    rows = [(text, with_interval(test, name)) for name, text in SCORES.items()]
    if test["auc_delong_95"]:
        rows.insert(
            1,
            ("AUC, DeLong's interval (films taken as independent)", _range(test["auc_delong_95"])),
        )
    return Table(("score", "value"), rows)


def anchors(measured: Numbers) -> Table:
    """What others reach, and this model."""
    test, breasts, birads = (
        measured["test"],
        measured["breasts"].get("breasts with several views"),
        measured["birads"],
    )
    on = ON[measured.get("data", {}).get("test_side", "held out")]
    ours = [("**this model**, whole image, single film", on, f"AUC {with_interval(test, 'auc')}")]
    ours += [
        (
            f"**this model**, films whose lesions are: {row['group']}",
            on,
            f"AUC {with_interval(row, 'auc')}",
        )
        for row in measured["subgroups"].get(subgroups.LESION_TYPE, ())
    ]
    ours += [
        (f"**this model**, films of the set {row['group']}", on, f"AUC {with_interval(row, 'auc')}")
        for row in measured["subgroups"].get(subgroups.DATA_SET, ())
    ]
    if measured.get("lesions"):
        pieces = with_interval(measured["lesions"]["test"], "auc")
        ours.append(
            ("**the first stage of its training**, pieces about lesions", on, f"AUC {pieces}")
        )
    if breasts:
        ours.append(
            (
                "**this model**, views of one breast averaged",
                on,
                f"AUC {with_interval(breasts, 'auc')}",
            )
        )
    if birads:
        which = (
            "the films of this model's row"
            if birads["images"] == test["images"]
            else f"those {birads['images']} films that have one"
        )
        ours.append(
            (
                f"radiologist's own BI-RADS on {which}",
                on,
                f"AUC {with_interval(birads['radiologist'], 'auc')}",
            )
        )
    return Table(("what", "on", "score"), [*ANCHORS, *ours])


def operating_points(measured: Numbers) -> Table:
    """Rates at every operating point, and what they would mean in screening."""
    points = measured["operating_points"]
    names = {
        name: SCORES[name] for name in ("sensitivity", "specificity", "accuracy", "precision", "f1")
    }
    rows = [("malignant from", *(f"{point['threshold']:.3f}" for point in points.values()))]
    rows += [
        (text, *(with_interval(point, name) for point in points.values()))
        for name, text in names.items()
    ]
    rows += [
        (
            "negative predictive value",
            *(with_interval(point, "negative_predictive_value") for point in points.values()),
        )
    ]
    for name, text in (
        ("precision", "precision"),
        ("negative_predictive_value", "negative predictive value"),
    ):
        cells = (_number(point["at_screening_prevalence"][name], 4) for point in points.values())
        rows.append((f"{text} at screening prevalence, 0.59 %", *cells))
    return Table(("", *points), rows)


def confusion(counts: Mapping[str, int]) -> Table:
    """Truth by call."""
    rows = [
        ("is benign", str(counts["true_negative"]), str(counts["false_positive"])),
        ("is malignant", str(counts["false_negative"]), str(counts["true_positive"])),
    ]
    return Table(("", "called benign", "called malignant"), rows)


def beside(measured: Numbers) -> Table:
    """The radiologist, shortcuts, and shuffled labels."""
    birads, permutation = measured["birads"], measured["permutation"]
    rows = [("model", with_interval(measured["test"], "auc"))]
    if birads:
        rows.append(
            (
                f"radiologist's BI-RADS ({birads['rule']}, on {birads['incomplete']} films)",
                with_interval(birads["radiologist"], "auc"),
            )
        )
        rows.append(
            ("the same with BI-RADS 0 as the lowest grade", _number(birads["auc_zero_lowest"]))
        )
        if birads["images"] < measured["test"]["images"]:
            rows.append(
                (
                    f"model on the {birads['images']} films that have a BI-RADS",
                    with_interval(birads["model"], "auc"),
                )
            )
    texts = {
        "thumbnail": "logistic regression on a 16 x 16 thumbnail",
        "brightness": "logistic regression on brightness and contrast",
        "scanner": "logistic regression on the scanner's letter",
    }
    rows += [
        (texts[name], with_interval(found, "auc")) for name, found in measured["shortcuts"].items()
    ]
    rows.append(
        (
            f"linear probe on {permutation['inputs']}, true labels",
            _number(permutation["auc_true_labels"]),
        )
    )
    shuffled = f"{permutation['auc_mean']:.3f} (95 % of them {_range(permutation['auc_95'])})"
    rows.append(
        (
            (
                "the same, labels shuffled among the training patients, "
                f"mean of {permutation['runs']} runs"
            ),
            shuffled,
        )
    )
    return Table(("what", "AUC on the test films"), rows)


def decision(measured: Numbers) -> Table:
    """What is decided with the bundle's own band, and how rightly."""
    found = measured["decision"]
    rows = [
        (
            "decided",
            (
                f"{found['share']:.1%} of {found['images']} "
                f"({found['share_95'][0]:.1%} to {found['share_95'][1]:.1%})"
            ),
        )
    ]
    rows += [
        (f"{name} among the decided", with_interval(found, name))
        for name in ("accuracy", "sensitivity", "specificity")
        if name in found
    ]
    return Table(
        ("at the default operating point", "test films"),
        [*rows, ("refused (they count as p = 0.5)", str(measured["refused"]))],
    )


def breasts(measured: Numbers) -> Table:
    """Several views of one breast, averaged."""
    rows = [
        (
            name,
            str(found["images"]),
            with_interval(found, "auc"),
            with_interval(found, "average_precision"),
            with_interval(found, "accuracy"),
        )
        for name, found in measured["breasts"].items()
    ]
    return Table(("", "n", "AUC", "average precision", "accuracy"), rows)


def groups(measured: Numbers) -> Table:
    """Every group with its scores and its score level."""
    rows = [
        (
            f"{name}: {row['group']}",
            f"{row['images']} ({row['malignant']})",
            with_interval(row, "auc"),
            with_interval(row, "sensitivity"),
            with_interval(row, "specificity"),
            f"{row['mean_score']:.2f}",
            f"{_number(row['mean_score_benign'], 2)} / {_number(row['mean_score_malignant'], 2)}",
        )
        for name, table in measured["subgroups"].items()
        for row in table
    ]
    return Table(
        (
            "group",
            "films (malignant)",
            "AUC",
            "sensitivity",
            "specificity",
            "mean score",
            "of benign / malignant",
        ),
        rows,
    )


def pointing(measured: Numbers) -> Table:
    """The pointing game; without rows where it was not played."""
    found = measured["pointing"]
    head = (
        f"highest point, of {found.get('films', 0)} films, in the",
        "hits",
        "by chance",
        "middle of the breast instead",
    )
    if not found:
        return Table(head, [])
    names = {
        "with_tolerance": f"box with a rim of {found['tolerance']:.0%} of the longer side",
        "in_the_box": "box alone",
    }
    played = [(text, found[name]) for name, text in names.items()]
    rows = [
        (
            text,
            _share(one["hits"], one["interval_95"]),
            _share(one["chance"]),
            _share(one["middle_of_the_breast"]),
        )
        for text, one in played
    ]
    return Table(head, rows)


def sources(found: Numbers) -> Table:
    """|dp| of every variant; without rows where it was not measured."""
    variants = found.get("variants", {})
    rows = [
        (
            name,
            *(f"{one[number]:.3f}" for number in ("median", "p95", "maximum")),
            str(one["taken_differently"]),
            "yes" if robustness.within_aim(one) else "no",
        )
        for name, one in variants.items()
    ]
    aim = f"within the aim (median {robustness.MEDIAN:g}, maximum {robustness.MAXIMUM:g})"
    return Table(
        (
            f"variant of {found.get('films', 0)} films",
            "median",
            "95 %",
            "maximum",
            "refused only with or only without",
            aim,
        ),
        rows,
    )


def files(exported: Numbers) -> Table:
    """Parity with Keras and cost of every exported file that was tried."""
    rows = []
    for file in exported.get("files", ()):
        parity, cost = file.get("parity", {}).get("test"), file.get("cost", {})
        drop = (
            f"{parity['auc_drop']:+.4f} ({_range(parity['auc_drop_interval_95'], 4)})"
            if parity
            else "-"
        )
        agreement = (
            (f"{parity['decision_flips']:.1%}", f"{parity['mean_difference']:.4f}")
            if parity
            else ("-", "-")
        )
        time = "; ".join(f"{runtime} {found['median_ms']:g} ms" for runtime, found in cost.items())
        memory = "; ".join(
            f"{runtime} {found['memory_mb']:g} MB"
            for runtime, found in cost.items()
            if found["memory_mb"]
        )
        shipped = "yes" if file["shipped"] else f"no: {'; '.join(file['failures'])}"
        rows.append(
            (
                f"{file['file']} ({file.get('quantization', '?')})",
                drop,
                *agreement,
                megabytes(file.get("bytes", 0)),
                time,
                memory,
                shipped,
            )
        )
    head = (
        "file",
        "AUC drop on test films",
        "decision flips",
        "mean difference",
        "size",
        "one inference, one thread",
        "memory",
        "shipped",
    )
    return Table(head, rows)


def export(exported: Numbers) -> Table:
    """The default file."""
    agreement = exported["agreement"]
    rows = [
        ("bundle", exported["bundle_id"]),
        ("size of the model file", megabytes(exported["bytes"])),
        (
            "largest difference from Keras, raw",
            f"{agreement['max_difference']:.5f} over {agreement['images']} images",
        ),
        ("mean difference from Keras", f"{agreement['mean_difference']:.5f}"),
        ("test AUC, exported minus Keras", f"{agreement['test_auc_change']:+.4f}"),
        *(
            (f"{side} images refused by the input gate", f"{share:.2%}")
            for side, share in exported["gate"].items()
        ),
    ]
    if other := agreement.get("max_difference_tflite_runtime"):
        rows.append(("largest difference of tflite-runtime from litert", f"{other:.1e}"))
    if unseen := exported.get("gate_on_unseen"):
        rows.append(
            (
                "other pictures caught, each by a gate not fitted on it",
                f"{unseen['others_caught']:.1%} of {unseen['others']}",
            )
        )
        rows.append(
            (
                "mammograms refused, each by a gate not fitted on it",
                f"{unseen['mammograms_refused']:.2%} of {unseen['mammograms']}",
            )
        )
    return Table(("what", "value"), rows)


def training(notes: Numbers, history: Numbers) -> Table:
    """Phases, kept epoch, durations and versions."""
    recipe = notes["recipe"]
    first = (recipe.get("crops") or {}).get("phases", ())
    stages = [("phases on pieces of mammograms", _phases(first))] if first else []
    kept = (
        [("kept epoch", f"{history['best_epoch']} of {len(history['epochs'])}, by validation AUC")]
        if history.get("epochs")
        else []
    )
    times = [
        (f"{name.removesuffix('_s').replace('_', ' ')}, seconds", str(value))
        for name, value in notes["times"].items()
    ]
    rows = [
        *stages,
        ("phases", _phases(recipe["phases"])),
        *kept,
        *times,
        ("seed", str(recipe["seed"])),
        *notes["versions"].items(),
    ]
    return Table(("what", "value"), rows)


def with_interval(numbers: Numbers, name: str) -> str:
    """A number with its 95 % interval where it has one."""
    interval = numbers["intervals_95"].get(name)
    return _number(numbers[name]) + (
        f" ({_range(interval)})" if interval and numbers[name] is not None else ""
    )


def megabytes(size: int) -> str:
    """Bytes as MB."""
    return f"{size / 1e6:.1f} MB"


def _phases(phases: Iterable[Numbers]) -> str:
    return ", ".join(
        f"{phase['name']} {phase['epochs']} epochs at {phase['learning_rate']:g}"
        for phase in phases
    )


def _number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _range(interval: Iterable[float], digits: int = 3) -> str:
    low, high = interval
    return f"{low:.{digits}f} to {high:.{digits}f}"


def _share(value: float, interval: Sequence[float] | None = None) -> str:
    return f"{value:.1%}" + (f" ({interval[0]:.1%} to {interval[1]:.1%})" if interval else "")


def _line(row: tuple[str, ...]) -> str:
    name = (
        f"<b>{escape(row[0].replace('*', ''))}</b>" if row[0].startswith("**") else escape(row[0])
    )
    return (
        f"<tr><th>{name}</th>" + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:]) + "</tr>"
    )
