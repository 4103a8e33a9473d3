"""Results in a real ledger, as a daemon records them."""

import hashlib
import json
import time
import uuid
from pathlib import Path
from typing import Any

from edge.domain import Numbering
from edge.storage.ledger import Ledger
from edge.storage.ledger.records import Conclusion, Submission
from tests.support.contract_page import examples


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
        self._count = 0

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
        image_id = self.arrive(name)
        result_id = str(uuid.uuid5(uuid.NAMESPACE_OID, image_id))
        ids = {"image_id": image_id, "result_id": result_id}

        def render(numbering: Numbering) -> bytes:
            mine = {**ids, "seq": numbering.seq, "ledger_id": numbering.ledger_id}
            return json.dumps(message | mine).encode()

        conclusion = Conclusion(image_id, result_id, "bundle", message["score"] is not None, render)
        done: dict[str, Any] = json.loads(self.ledger.images.conclude(conclusion))
        return done
