"""Names of exams, as keyed hashes: of a study, a sender's reference, a folder of the inbox."""

import hmac
import os
from dataclasses import dataclass, field
from pathlib import Path

from edge.domain import Outcome, Result
from edge.models.bundle import Bundle
from edge.storage.ledger.records import Membership


@dataclass(frozen=True, slots=True)
class ExamNames:
    """
    Gives exams their names in the ledger, which nobody without the key can lead back.

    Args:
        key: of the hashes.
        inbox: the folders below it are exams; None if they are not.
    """

    key: bytes = field(repr=False)
    inbox: Path | None = None
    _facts: dict[tuple[str, str], str] = field(default_factory=dict, repr=False)

    def of(self, text: str) -> str:
        """Return the HMAC-SHA256 of an identifier, as 64 hex digits."""
        return hmac.digest(self.key, text.encode("utf-8", "surrogateescape"), "sha256").hex()

    def of_request(self, reference: str | None) -> str | None:
        """Name the exam of a sender's reference; None without one."""
        return None if reference is None else self.of(f"exam:{reference}")

    def of_file(self, path: Path) -> str | None:
        """Name the exam of a file by its folder; None for one in the inbox itself."""
        if self.inbox is None:
            return None
        folder = os.path.relpath(os.path.realpath(path.parent), os.path.realpath(self.inbox))
        return None if folder == os.curdir else self.of(f"folder:{folder}")

    def membership(self, outcome: Outcome, bundle: Bundle) -> Membership | None:
        """Read the exam of an image from its header; None if the model makes no exams."""
        file = outcome.runtime.file if outcome.runtime else bundle.manifest.default_model
        model = bundle.manifest.model_of(file)
        if not model.breasts:
            return None
        key = bundle.bundle_id, file
        facts = self._facts.get(key) or self._facts.setdefault(key, model.model_dump_json())
        known = outcome.provenance if isinstance(outcome, Result) else None
        patient = self.of(f"woman:{known.woman}") if known and known.woman else None
        identity = outcome.identity
        if identity is None:
            return Membership(file, facts, patient=patient)
        study, instance = map(self.of, (identity.study_instance_uid, identity.sop_instance_uid))
        return Membership(file, facts, study, instance, patient)
