"""The tables of film and digital, of normal breasts, and of the last bundle on the same films."""

from typing import Final

from train.reporting.tables.scores import SCORES
from train.reporting.tables.table import Numbers, Table, interval, number, percent, ranked
from train.wording import with_interval

FITTED: Final = ("sensitivity", "specificity", "ece")
"""Scores that flatter where calibration and threshold were fitted on the same images."""


def domains(measured: Numbers) -> Table:
    """List what was measured on scanned films and on digital mammograms, and what was not."""
    found = measured.get("domains", {})
    rows = [
        (
            name,
            f"{one['images']} ({one['malignant']}) of {one['patients']}",
            *(_score(one, score) for score in ("auc", "sensitivity", "specificity", "ece")),
            percent(one["decided"]),
            str(one["refused"]),
        )
        for name, one in found.items()
    ]
    if len(rows) == 1:
        (known,) = found
        rows.append(("digital" if known == "film" else "film", "none", *["not measured"] * 6))
    head = ("", "mammograms (malignant) of patients", "AUC", "sensitivity", "specificity")
    return Table((*head, "calibration error", "decided", "refused"), rows)


def _score(found: Numbers, name: str) -> str:
    if name not in found:
        return "-"
    return ranked(found) if name == "auc" else with_interval(found, name)


def normal(measured: Numbers) -> Table:
    """Describe the normal breasts; without rows if there are none."""
    found = measured.get("normal", {})
    head = (f"{found.get('images', 0)} mammograms of {found.get('patients', 0)} women", "value")
    return Table(head, _normal_rows(found))


def _normal_rows(found: Numbers) -> list[tuple[str, str]]:
    if not found:
        return []
    ends = found["intervals_95"]
    return [
        ("normal called malignant", percent(found["called_malignant"], ends["called_malignant"])),
        ("normal undecided or refused", percent(found["undecided"], ends["undecided"])),
        ("mean score of normal", with_interval(found, "mean_score")),
        ("AUC, malignant against normal", ranked(found["against_normal"])),
        (
            "AUC, malignant against benign findings alone",
            ranked(found["against_benign"]),
        ),
    ]


def digital(measured: Numbers) -> Table:
    """List what was measured on digital mammograms of other data; without rows if none were."""
    found = measured.get("digital", {})
    if not found:
        return Table(("", ""), [])
    head = (f"{found['images']} mammograms of {found['patients']} women", "value")
    rows = [("malignant", str(found["malignant"])), ("refused", str(found["refused"]))]
    if "auc" in found:
        rows += [
            ("AUC, malignant against the rest", ranked(found)),
            *_normal_rows(found["normal"]),
            *((SCORES[name], with_interval(found, name)) for name in FITTED),
        ]
    return Table(head, [*rows, ("decided", percent(found["decided"]))])


def against(measured: Numbers) -> Table:
    """Set the model beside another bundle, film by film; without rows if none was named."""
    found = measured.get("against", {})
    other = found.get("bundle", {"name": "", "version": ""})
    rows = [
        (
            row["group"],
            f"{row['images']} ({row['malignant']}) of {row['patients']}",
            f"{row['auc']:.3f}",
            f"{row['auc_other']:.3f}",
            f"{row['difference']:+.3f} ({_signed(row)})",
        )
        for row in found.get("groups", ())
    ]
    head = ("", "mammograms (malignant) of patients", "AUC", f"{other['name']} {other['version']}")
    return Table((*head, "difference"), rows)


def _signed(row: Numbers) -> str:
    ends = row["intervals_95"]["difference"]
    return interval(ends) if ends else number(None)
