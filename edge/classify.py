"""`mammo-edge classify` and `model verify`: the daemon's own workers, without ledger, broker or configuration."""

import queue
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edge.app import job_for, open_store, shipped_bundle
from edge.bundle import Bundle, sha256_of, verify
from edge.domain import Outcome, Rejection
from edge.errors import Reason
from edge.message import Occasion, Sender, render
from edge.settings import Settings
from edge.workers import Died, Interrupted, Verdict, Workers


def classify(paths: Sequence[Path], settings: Settings, bundle_folder: Path | None) -> Iterator[tuple[dict[str, Any], bool]]:
    """
    Examine files one after the other, in the order given; of a folder all files below it, sorted.

    Yields:
        The message, in the published schema plus `source.path` as typed, and whether the path could not be read.

    Raises:
        ModelError: the bundle is not usable.
    """
    with _open(settings, bundle_folder) as (bundle, workers):
        for typed in paths:
            for path in _below(typed):
                yield _message(path, bundle, workers)


def verify_bundle(settings: Settings, folder: Path | None) -> dict[str, Any]:
    """
    Check a bundle as the daemon would before it serves it.

    Raises:
        ModelError: what is wrong, found versus expected.
    """
    with _open(settings, folder or settings.model.bundle or open_store(settings).current()) as (bundle, workers):
        manifest, runtime = bundle.manifest, workers.runtime
        answers = len(manifest.models[runtime.file].known_answers)
        return {
            "bundle": bundle.bundle_id,
            "folder": str(bundle.folder),
            "name": manifest.name,
            "version": manifest.version,
            "files": len(manifest.files),
            "backend": runtime.backend,
            "model_file": runtime.file,
            "known_answers": f"{answers} of {answers} within tolerance",
            "operating_points": sorted(manifest.models[runtime.file].operating_points),
        }


@contextmanager
def _open(settings: Settings, folder: Path | None) -> Iterator[tuple[Bundle, Workers]]:
    bundle = verify(folder or settings.model.bundle or shipped_bundle())
    bundle.decision(bundle.manifest.default_model, settings.model.operating_point)
    workers = Workers(job_for(settings, bundle))
    try:
        yield bundle, workers
    finally:
        workers.close()


def _below(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))


def _message(path: Path, bundle: Bundle, workers: Workers) -> tuple[dict[str, Any], bool]:
    received_at = time.time()
    try:
        image_id = sha256_of(path)
    except OSError as error:
        outcome: Outcome = Rejection(Reason.MISSING, error.strerror or "cannot be read")
        occasion = Occasion(None, 0, received_at, received_at, received_at)
        return _with_path(render(outcome, occasion, bundle, Sender()), path), True
    started_at = time.time()
    outcome = _examine(path, workers)
    occasion = Occasion(image_id, 0, received_at, started_at, time.time())
    return _with_path(render(outcome, occasion, bundle, Sender()), path), False


def _examine(path: Path, workers: Workers) -> Outcome:
    verdicts: queue.SimpleQueue[Verdict] = queue.SimpleQueue()
    workers.submit(path, verdicts.put)
    match verdicts.get():
        case Died(why) | Interrupted(why):
            return Rejection(Reason.POISON, why)
        case outcome:
            return outcome


def _with_path(message: dict[str, Any], path: Path) -> dict[str, Any]:
    message["source"]["path"] = str(path)
    return message
