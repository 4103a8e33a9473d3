"""The tables that say how far a score holds: for groups, for the map, for other files."""

from train.evaluation import robustness
from train.reporting.tables.table import Numbers, Table, number, percent, ranked
from train.wording import with_interval


def groups(measured: Numbers) -> Table:
    """List every group with its scores and its score level."""
    rows = [
        (
            f"{name}: {row['group']}",
            f"{row['images']} ({row['malignant']})",
            ranked(row),
            with_interval(row, "sensitivity"),
            with_interval(row, "specificity"),
            f"{row['mean_score']:.2f}",
            f"{number(row['mean_score_benign'], 2)} / {number(row['mean_score_malignant'], 2)}",
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
    """List the results of the pointing game; without rows if it was not played."""
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
            percent(one["hits"], one["interval_95"]),
            percent(one["chance"]),
            percent(one["middle_of_the_breast"]),
        )
        for text, one in played
    ]
    return Table(head, rows)


def sources(found: Numbers) -> Table:
    """List |dp| of every variant; without rows if it was not measured."""
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
