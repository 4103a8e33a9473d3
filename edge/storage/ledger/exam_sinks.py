"""The sinks of exam results, and the ledger's tables of what each does not have yet."""

from collections.abc import Mapping
from typing import Final

EXAM: Final = "exam"
"""The sink of exam results: the topic `exam`."""
DICOM: Final = "dicom"
"""The sink of reports, on results of exams or of images: the PACS."""
DICOM_MAP: Final = "dicom_map"
"""The sink of pictures of images' maps: the same PACS; its rows stand in `outbox`."""
TABLES: Final[Mapping[str, str]] = {EXAM: "exam_outbox", DICOM: "exam_reports"}
"""The tables of exam results that a sink does not have yet."""
