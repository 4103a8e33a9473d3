"""`mammo-edge performance`: the model's worth on images and exams with verdicts."""

import json
from argparse import Namespace
from collections.abc import Iterator, Mapping
from typing import Any

from edge.cli.layout import COLUMNS, shown, wrapped
from edge.cli.output import print_table
from edge.cli.since import time
from edge.config.load import load
from edge.models.performance import LEAST_IMAGES, LEAST_WOMEN, Of
from edge.storage.ledger.readonly import open_readonly
from edge.storage.ledger.verdict_report import read_report


def run(arguments: Namespace) -> int:
    """Show the performance of the bundle that scored last; returns the exit status."""
    since = time(arguments.since)
    with open_readonly(load(arguments.config).state.path) as db:
        found = read_report(db, since, arguments.by)
    if arguments.json:
        print(json.dumps(found))
    else:
        _print(found, arguments.by)
    return 0


def _print(found: Mapping[str, Any], by: str | None) -> None:
    print(f"bundle {(found['bundle'] or 'none')[:16]}, 95 % intervals over women")
    _print_part("images", found, by)
    exams = found["exams"]
    if any((*exams["basis"].values(), *exams["left_out"].values())):
        print("\nexams, by the breast whose score is higher")
        _print_part("exams", exams, by)


def _print_part(of: Of, found: Mapping[str, Any], by: str | None) -> None:
    head = (by or "", "malignant", "benign", "AUC", "sensitivity", "specificity", "calibration")
    groups = (found["by"] or {}).items()
    rows = [_row("all", found, of), *(_row(name, group, of) for name, group in groups)]
    print_table(head, rows)
    for remark in _remarks(found, of):
        print(*wrapped(shown(remark), COLUMNS), sep="\n")


def _row(name: str, found: Mapping[str, Any], of: Of) -> tuple[object, ...]:
    classes = (
        f"{found[one][of]} of {found[one]['women']} women" for one in ("malignant", "benign")
    )
    worth = found["performance"]
    if worth is None:
        return (name, *classes, "too few", "", "", "")
    rates = (_rate(worth[rate]) for rate in ("auc", "sensitivity", "specificity"))
    return (name, *classes, *rates, f"off by {worth['calibration_error']:.3f}")


def _rate(rate: Mapping[str, Any]) -> str:
    low, high = rate["interval_95"]
    return f"{rate['value']:.3f} ({low:.3f}-{high:.3f})"


def _remarks(found: Mapping[str, Any], of: Of) -> Iterator[str]:
    if any(one["why_not"] for one in (found, *(found["by"] or {}).values())):
        yield (
            f"too few: expected at least {LEAST_IMAGES} {of} of {LEAST_WOMEN} women of each truth"
        )
    left_out = found["left_out"]
    if left_out["other_bundle"]:
        yield f"left out: {left_out['other_bundle']} verdicts on scores of other bundles"
    if left_out["no_woman"]:
        nameless = "images whose header names" if of == "images" else "exams whose images name"
        yield (
            f"left out: {left_out['no_woman']} verdicts on {nameless} no woman, "
            "or that an earlier release examined"
        )
    yield from found["caveats"]
