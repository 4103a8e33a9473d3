"""A bundle in the daemon's own workers, without the daemon: for `classify` and `model verify`."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edge.config.settings import Settings
from edge.daemon.workers.job import Job
from edge.daemon.workers.pool import Workers
from edge.daemon.workers.servable import job_for, open_store
from edge.models.active import shipped_bundle
from edge.models.bundle import Bundle, verify

log = logging.getLogger(__name__)


@contextmanager
def open_workers(
    settings: Settings, folder: Path | None, change: Callable[[Job], Job] = lambda job: job
) -> Iterator[tuple[Bundle, Workers]]:
    """
    Open workers that have proved a bundle, and close them after the block.

    Args:
        settings: the configuration; its sections `model` and `worker` count.
        folder: the bundle's; None for the configured or shipped one.
        change: changes the workers' job.

    Raises:
        ModelError: the bundle is not usable; found versus expected.
    """
    bundle = verify(folder or settings.model.bundle or shipped_bundle())
    bundle.decision(bundle.manifest.default_model, settings.model.operating_point)
    workers = Workers(change(job_for(settings, bundle)))
    if workers.runtime.without is not None:
        log.warning("Coral accelerator: %s; the processor does its work", workers.runtime.without)
    try:
        yield bundle, workers
    finally:
        workers.close()


def verify_bundle(settings: Settings, folder: Path | None) -> dict[str, Any]:
    """
    Check a bundle as the daemon would before it serves it.

    Raises:
        ModelError: the bundle is not usable; found versus expected.
    """
    serving = folder or settings.model.bundle or open_store(settings).current()
    with open_workers(settings, serving) as (bundle, workers):
        manifest, runtime = bundle.manifest, workers.runtime
        answers = len(manifest.model_of(runtime.file).known_answers)
        return {
            "bundle": bundle.bundle_id,
            "folder": str(bundle.folder),
            "name": manifest.name,
            "version": manifest.version,
            "files": len(manifest.files),
            "backend": runtime.backend,
            "model_file": runtime.file,
            **({"without_accelerator": runtime.without} if runtime.without else {}),
            "known_answers": f"{answers} of {answers} within tolerance",
            "operating_points": sorted(manifest.model_of(runtime.file).operating_points),
        }
