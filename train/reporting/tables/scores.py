"""The tables of scores on the test patients."""

from collections.abc import Mapping
from typing import Final

from train.reporting.tables.table import Numbers, Table, interval, number, ranked
from train.wording import with_interval

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


def scores(test: Numbers) -> Table:
    """List every score with its interval over patients."""
    rows = [(text, _score(test, name)) for name, text in SCORES.items()]
    if test["auc_delong_95"]:
        rows.insert(
            1,
            (
                "AUC, DeLong's interval (films taken as independent)",
                interval(test["auc_delong_95"]),
            ),
        )
    return Table(("score", "value"), rows)


def _score(found: Numbers, name: str) -> str:
    return ranked(found) if name == "auc" else with_interval(found, name)


def operating_points(measured: Numbers) -> Table:
    """List the rates at every operating point."""
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
    return Table(("", *points), rows)


def promise(measured: Numbers) -> Table:
    """Set the default point's rates on those who chose it beside those on others; none: no rows."""
    names = ("sensitivity", "specificity")
    rows = [
        (on, *(with_interval(rates, name) for name in names))
        for on, rates in measured.get("promise", {}).items()
    ]
    return Table(("at the default point, on", *(SCORES[name] for name in names)), rows)


def in_screening(measured: Numbers) -> Table:
    """
    List what every operating point would mean among screened women, were nothing else different.
    """
    points = measured["operating_points"].values()
    values = {
        "precision": "called malignant, and rightly (positive predictive value)",
        "negative_predictive_value": "called benign, and rightly (negative predictive value)",
    }
    rows = [
        (text, *(_predictive(point["at_screening_prevalence"], name) for point in points))
        for name, text in values.items()
    ]
    counts = [_of_ten_thousand(point) for point in points]
    rows += [
        (text, *(found[place] for found in counts))
        for place, text in enumerate(
            ("called malignant, of 10,000", "cancers among those", "cancers missed")
        )
    ]
    return Table(("at screening prevalence, 0.59 %", *measured["operating_points"]), rows)


def _predictive(found: Numbers, name: str) -> str:
    ends = found.get("intervals_95", {}).get(name)
    return number(found[name], 4) + (f" ({interval(ends, 4)})" if ends else "")


def _of_ten_thousand(point: Numbers) -> tuple[str, str, str]:
    """Count calls, cancers among them and cancers missed; dashes if a rate is not known."""
    sensitivity, specificity = point["sensitivity"], point["specificity"]
    if sensitivity is None or specificity is None:
        return "-", "-", "-"
    cancers = round(10_000 * point["at_screening_prevalence"]["prevalence"])
    found = round(cancers * sensitivity)
    alarms = round((10_000 - cancers) * (1 - specificity))
    return f"{found + alarms:,}", f"{found}", f"{cancers - found}"


def confusion(counts: Mapping[str, int]) -> Table:
    """Count truth by call."""
    rows = [
        ("is benign", str(counts["true_negative"]), str(counts["false_positive"])),
        ("is malignant", str(counts["false_negative"]), str(counts["true_positive"])),
    ]
    return Table(("", "called benign", "called malignant"), rows)


def decision(measured: Numbers) -> Table:
    """Describe what is decided with the bundle's own band, and how rightly."""
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
    """List the scores of breasts, several views averaged."""
    rows = [
        (
            name,
            str(found["images"]),
            ranked(found),
            with_interval(found, "average_precision"),
            with_interval(found, "accuracy"),
        )
        for name, found in measured["breasts"].items()
    ]
    return Table(("", "n", "AUC", "average precision", "accuracy"), rows)


def exams(measured: Numbers) -> Table:
    """List the scores of films, breasts and exams as they are published; no rows if none are."""
    names = ("auc", "sensitivity", "specificity", "ece")
    rows = [
        (
            name,
            f"{found['images']} ({found['malignant']}) of {found['patients']}",
            *(_score(found, score) for score in names),
        )
        for name, found in measured.get("exams", {}).items()
    ]
    head = ("", "number (malignant) of patients", *(SCORES[name] for name in names))
    return Table(head, rows)
