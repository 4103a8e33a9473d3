"""From an exam's body to the message that is published."""

import time
import uuid
from datetime import UTC, datetime

from edge.contract.exam import ExamMessage
from edge.contract.exam_body import Body, Revision
from edge.contract.render import NAMESPACE, encode


def exam_result_id(revision: Revision, body: Body) -> str:
    """Return the UUIDv5 of the exam, the revision and all that it says."""
    return str(uuid.uuid5(NAMESPACE, f"exam/{revision.exam_id}/{revision.number}/{body.digest}"))


def render_exam(body: Body, revision: Revision, site: str, device: str) -> bytes:
    """Return the message of a revision as it is published."""
    message = ExamMessage(
        result_id=uuid.UUID(exam_result_id(revision, body)),
        exam_id=revision.exam_id,
        revision=revision.number,
        supersedes=uuid.UUID(revision.supersedes) if revision.supersedes else None,
        seq=revision.seq,
        ledger_id=uuid.UUID(revision.ledger_id),
        site=site,
        device=device,
        completed_at=datetime.fromtimestamp(time.time(), UTC),
        **body.fields,
    )
    dumped = message.model_dump(mode="json", by_alias=True)
    for breast in dumped["breasts"]:
        if breast["decision"]["withheld"] is None:
            del breast["decision"]["withheld"]
    return encode(dumped)
