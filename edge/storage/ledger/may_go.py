"""The conditions under which images and their results may go, by the sinks that are served."""

from dataclasses import dataclass
from typing import Final

from edge.storage.ledger.exam_sinks import DICOM, DICOM_MAP, TABLES

OPTIONAL: Final = frozenset(["jsonl", DICOM, DICOM_MAP])
"""Sinks of images that nobody serves once they are not configured; a broker's are always served."""


@dataclass(frozen=True)
class MayGo:
    """
    Conditions on a row of `images`, as SQL.

    Args:
        unserved: sinks of images that nobody serves: nothing waits for them.
        exam_sinks: sinks that take results of exams; None if no exams are made.
    """

    unserved: frozenset[str]
    exam_sinks: tuple[str, ...] | None

    @property
    def settled(self) -> str:
        """Nothing of the image waits for a worker, the archive or a sink."""
        return self._settled("images")

    @property
    def old(self) -> str:
        """The image's file is gone and its last result was completed before ?1."""
        return self._old("images")

    @property
    def of_exams(self) -> str:
        """All other images of the image's exams may go, too, and no sink waits for an exam."""
        others = f"""NOT EXISTS (
            SELECT 1 FROM exam_images AS mine JOIN exam_images AS theirs USING (exam)
            JOIN images AS other ON other.image_id = theirs.image_id
            WHERE mine.image_id = images.image_id AND other.image_id != mine.image_id
                AND ({self._old("other")}) IS NOT TRUE)"""
        return others if self.exam_sinks is None else f"{self._of_settled_exams()} AND {others}"

    def _settled(self, images: str) -> str:
        nobody = ", ".join(f"'{sink}'" for sink in sorted(self.unserved))
        return f"""{images}.state = 'archived' AND NOT EXISTS (
        SELECT 1 FROM submissions LEFT JOIN outbox
            ON outbox.seq = submissions.seq AND sink NOT IN ({nobody})
        WHERE submissions.image_id = {images}.image_id
            AND (submissions.seq IS NULL OR outbox.seq IS NOT NULL))"""

    def _old(self, images: str) -> str:
        return f"""{self._settled(images)} AND {images}.kept = 0 AND {images}.archived_at < ?1
        AND (SELECT max(completed_at) FROM results JOIN submissions ON submissions.id = submission
             WHERE submissions.image_id = {images}.image_id) < ?1"""

    def _of_settled_exams(self) -> str:
        waits = " ".join(
            f"OR exam_results.seq IN (SELECT seq FROM {TABLES[sink]})"
            for sink in self.exam_sinks or ()
        )
        return f"""NOT EXISTS (
        SELECT 1 FROM exam_images AS mine JOIN exams USING (exam)
        LEFT JOIN exam_results USING (exam)
        WHERE mine.image_id = images.image_id AND (first_s IS NOT NULL {waits}))"""
