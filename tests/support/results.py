"""Results in a real ledger, as a daemon records them."""

import hashlib
import json
import time
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

from edge.domain import Numbering
from edge.storage.ledger import Ledger
from edge.storage.ledger.records import Conclusion, Submission, note_score
from edge.storage.ledger.verdicts import Verdict
from tests.support.contract_page import examples
from tests.support.pairs import score_of, women


def scored(**changed: object) -> dict[str, Any]:
    """A published result of a film; `changed` replaces fields."""
    return examples("mammo.result/1")[0] | changed


def rejected(reason: str) -> dict[str, Any]:
    """A published result of a file that is no mammogram."""
    gate = {"passed": False, "reasons": [reason]}
    return scored(outcome="rejected", score=None, decision=None, gate=gate)


class Writer:
    """
    A daemon's ledger in a folder, beside a configuration for commands.

    Args:
        folder: for `edge.toml`, state and files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.config = folder, folder / "edge.toml"
        self.config.write_text(
            f'[state]\npath = "{folder}/state"\n[inbox]\npath = "{folder}/inbox"\n'
            f'[control]\nsocket = "{folder}/control.sock"\n'
        )
        self.ledger = Ledger(folder / "state", [], lambda payload, _: payload)
        self._count = self._results = 0

    def arrive(self, name: bytes = b"film.dcm") -> str:
        """Take an image that waits from now on; returns its id."""
        self._count += 1
        image_id = hashlib.sha256(str(self._count).encode()).hexdigest()
        file = self.folder / f"f-{self._count}"
        file.touch()
        self.ledger.submissions.accept(
            Submission(image_id, file, name, "folder", time.time()), "bundle"
        )
        return image_id

    def publish(self, message: dict[str, Any], name: bytes = b"film.dcm") -> dict[str, Any]:
        """Record a message as the next result; returns it with its own ids and numbers."""
        return self._conclude(self.arrive(name), message)

    def publish_again(self, image_id: str, message: dict[str, Any]) -> dict[str, Any]:
        """Record another result of an image, as after `mammo-edge retry`."""
        self.archive(image_id)
        self.ledger.submissions.retry([image_id])
        return self._conclude(image_id, message)

    def archive(self, image_id: str) -> None:
        """Put the file of an image that is concluded where it stays."""
        archived = self.folder / f"archived-{image_id[:8]}"
        archived.touch()
        self.ledger.images.archived(image_id, archived)

    def judge(self, verdict: Verdict) -> None:
        """Record a verdict on an image, and the score that it needs."""
        score = replace(score_of(1, women(1, 1)[0]), image_id=verdict.id)
        with self.ledger._database.transaction() as db:
            note_score(db, score)
        assert self.ledger.verdicts.record([verdict]) == 1

    def _conclude(self, image_id: str, message: dict[str, Any]) -> dict[str, Any]:
        self._results += 1
        result_id = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{image_id} {self._results}"))
        ids = {"image_id": image_id, "result_id": result_id}

        def render(numbering: Numbering) -> bytes:
            mine = {**ids, "seq": numbering.seq, "ledger_id": numbering.ledger_id}
            return json.dumps(message | mine).encode()

        conclusion = Conclusion(image_id, result_id, "bundle", message["score"] is not None, render)
        done: dict[str, Any] = json.loads(self.ledger.images.conclude(conclusion))
        return done
