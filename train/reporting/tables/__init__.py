"""The tables that the report and the model card share: every number comes from the run."""

from train.reporting.tables.comparison import anchors, beside
from train.reporting.tables.kinds import against, digital, domains, normal
from train.reporting.tables.making import export, files, split, training
from train.reporting.tables.scores import (
    breasts,
    confusion,
    decision,
    exams,
    in_screening,
    operating_points,
    promise,
    scores,
)
from train.reporting.tables.table import Numbers, Table, megabytes
from train.reporting.tables.validity import groups, pointing, sources

__all__ = [
    "Numbers",
    "Table",
    "against",
    "anchors",
    "beside",
    "breasts",
    "confusion",
    "decision",
    "digital",
    "domains",
    "exams",
    "export",
    "files",
    "groups",
    "in_screening",
    "megabytes",
    "normal",
    "operating_points",
    "pointing",
    "promise",
    "scores",
    "sources",
    "split",
    "training",
]
