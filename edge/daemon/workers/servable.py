"""Which bundle serves, and the workers that run it: from the configuration to processes that have proved the model."""

from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Final

from edge.daemon.rollout.accelerator import access_of
from edge.models.bundle import Bundle, verify
from edge.daemon.pipeline.dispatcher import Serving
from edge.config.settings import Settings
from edge.models.store import ModelStore, Trust
from edge.daemon.workers.pool import Job, Workers

BESIDE: Final = "edge.daemon.workers.beside.start"
"""Begins a shadow model's worker."""


def shipped_bundle() -> Path:
    """The folder of the bundle that comes with the package."""
    return Path(str(files("edge") / "models" / "default"))


def job_for(settings: Settings, bundle: Bundle) -> Job:
    """
    What the workers run: a bundle and limits, never the settings.

    Raises:
        ModelError: an accelerator is insisted on, and the bundle has nothing that it could run.
    """
    worker, model = settings.worker, settings.model
    access = access_of(settings, bundle)
    limits = (worker.max_file_mb * 2**20, worker.max_megapixels * 1_000_000, model.implants)
    arguments = (str(bundle.folder), model.processor_backend, model.threads, model.operating_point, *limits)
    return Job(
        start="edge.inference.examiner.start",
        run="edge.inference.examiner.run",
        arguments=arguments if access is None else (*arguments, access),
        count=worker.count,
        timeout_s=worker.timeout_s,
        memory_mb=worker.memory_mb,
        cpu_s=worker.cpu_s,
        spare=None if access is None else lambda why: (*arguments, None, why),
    )


def open_store(settings: Settings) -> ModelStore:
    """The installed models of this device."""
    return ModelStore(settings.state.path / "models", shipped_bundle(), Trust(settings.model.keys, settings.model.allow_unsigned))


def open_serving(settings: Settings, folder: Path | None = None, start: str | None = None) -> Serving:
    """
    Verify a bundle, by default the one that serves, and have it proved by workers.

    Args:
        settings: what was configured.
        folder: the bundle's.
        start: what each worker begins with, by its dotted path; by default what `job_for` says.

    Raises:
        ModelError: it is not usable.
        Unavailable: no worker came up.
    """
    bundle = verify(folder or settings.model.bundle or open_store(settings).current())
    bundle.decision(bundle.manifest.default_model, settings.model.operating_point)
    job = job_for(settings, bundle)
    return Serving(bundle, Workers(replace(job, start=start or job.start)))
