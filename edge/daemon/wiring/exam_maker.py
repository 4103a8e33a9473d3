"""Makes results of exams for the ledger, which knows no messages."""

import json
from collections.abc import Sequence

from edge.config.settings import Device
from edge.contract.assemble import Seen, assemble, rejected
from edge.contract.exam_body import Body, Revision
from edge.contract.exam_render import exam_result_id, render_exam
from edge.models.manifest import ModelFile
from edge.storage.ledger.exam_rows import FactsOf, Key, Named


class Maker:
    """
    An `ExamMaker`; used inside of transactions, so by one thread at a time.

    Args:
        device: publishes them.
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        self._models: dict[Key, ModelFile] = {}

    def body(self, images: Sequence[Named], facts_of: FactsOf) -> Body | None:
        """See `ExamMaker`."""
        seen = [Seen(json.loads(payload), copy_of) for payload, copy_of in images]
        return assemble(seen, lambda key: self._model_of(key, facts_of))

    def taken_back(self, reason: str) -> Body:
        """See `ExamMaker`."""
        return rejected(reason)

    def render(self, body: Body, revision: Revision) -> tuple[str, bytes]:
        """See `ExamMaker`."""
        message = render_exam(body, revision, self._device.site, self._device.name)
        return exam_result_id(revision, body), message

    def _model_of(self, key: Key, facts_of: FactsOf) -> ModelFile | None:
        if key not in self._models:
            facts = facts_of(key)
            if facts is None:
                return None
            self._models[key] = ModelFile.model_validate_json(facts)
        return self._models[key]
