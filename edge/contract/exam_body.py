"""An exam's result before it is a message: what it says, and the numbers of its revision."""

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Body:
    """The part of an exam's message that depends on its images alone."""

    fields: Mapping[str, Any]
    """Fields of `ExamMessage`, as JSON."""

    @property
    def outcome(self) -> str:
        """The worse outcome of its breasts; `rejected` takes earlier revisions back."""
        return str(self.fields["outcome"])

    @property
    def complete(self) -> bool:
        """True if CC and MLO of both breasts are there."""
        return bool(self.fields["complete"])

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of the fields: two bodies that say the same have the same."""
        return hashlib.sha256(json.dumps(self.fields, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Revision:
    """The numbers that the ledger gives a revision in the transaction that records it."""

    exam_id: str
    number: int
    """1, and one more for each change."""
    seq: int
    ledger_id: str
    supersedes: str | None
