"""The counters of `health`, and the receiver's, by the names that they have for Prometheus."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final

from edge.contract.receiver import Aborted, Refused, TurnedAway

COUNTED: Final[Mapping[str, tuple[str, str, Mapping[str, str]]]] = {
    "mammo_edge_outcomes": (
        "Images by what became of them",
        "outcome",
        {name: name for name in ("benign", "malignant", "indeterminate", "rejected")},
    ),
    "mammo_edge_exams": (
        "Results of exams by what they say; several_patients and failed have none",
        "outcome",
        {
            f"exams_{name}": name
            for name in (
                "benign",
                "malignant",
                "indeterminate",
                "rejected",
                "several_patients",
                "too_many_images",
                "failed",
            )
        },
    ),
    "mammo_edge_received": (
        "Images that came, by source",
        "source",
        {"received_folder": "folder", "received_mqtt": "mqtt"},
    ),
    "mammo_edge_delivered": (
        "Results that a sink has, by sink",
        "sink",
        {f"delivered_{name}": name for name in ("mqtt", "jsonl", "exam", "dicom", "dicom_map")},
    ),
    "mammo_edge_reports_not_sent": (
        "Results of which the PACS gets no report, by the reason",
        "reason",
        {
            f"reports_{name}": name
            for name in ("not_dicom", "several_studies", "original_gone", "without_score")
        },
    ),
    "mammo_edge_maps_not_sent": (
        "Results of which the PACS gets no picture of the map, by the reason",
        "reason",
        {
            f"maps_{name}": name
            for name in (
                "not_dicom",
                "original_gone",
                "without_score",
                "not_pointing",
                "model_gone",
                "not_drawn",
                "of_another_score",
            )
        },
    ),
    "mammo_edge_pictures": (
        "Pictures for the page, by what became of them",
        "outcome",
        {"pictures_drawn": "drawn", "pictures_failed": "failed"},
    ),
    "mammo_edge_worker_deaths": (
        "Workers that died or were ended with an image",
        "",
        {"worker_deaths": ""},
    ),
    "mammo_edge_replies_given_up": (
        "Replies that could not be delivered in time",
        "",
        {"replies_given_up": ""},
    ),
    "mammo_edge_response_topics_refused": (
        "Requests that named a response topic they may not",
        "",
        {"response_topics_refused": ""},
    ),
    "mammo_edge_shadow": (
        "Images that a shadow model saw, too, by what came of it",
        "agreement",
        {f"shadow_{name}": name for name in ("agree", "disagree", "failed", "skipped")},
    ),
    "mammo_edge_accelerator_losses": (
        "Times the accelerator was lost, or was not to be had",
        "",
        {"accelerator_lost": ""},
    ),
    "mammo_edge_model_rollbacks": (
        "Models that were taken back by themselves",
        "",
        {"model_rollbacks": ""},
    ),
}
"""Help text, label, and the label's value for each counter of `health`, by metric."""

RECEIVER: Final[Mapping[str, tuple[str, Iterable[StrEnum]]]] = {
    "refused": ("Objects that the DICOM receiver refused, by cause", Refused),
    "turned_away": ("Connections and associations that it refused, by cause", TurnedAway),
    "aborted": ("Associations that ended before their time, by cause", Aborted),
}
"""Help text and causes of the receiver's counts."""
