"""From the configuration to a bundle and to workers that have proved it."""

from dataclasses import replace
from pathlib import Path
from typing import Final

from edge.config.settings import Settings
from edge.daemon.workers.job import Job
from edge.daemon.workers.pool import Workers
from edge.daemon.workers.serving import Serving
from edge.errors import ModelError
from edge.models.active import shipped_bundle
from edge.models.bundle import Bundle, verify
from edge.models.store import ModelStore, Trust
from edge.system.coral import Access, devices

BACKEND: Final = "edgetpu"
DRAWING: Final = "edge.inference.explain.breast"
EXPENDABLE: Final = 1000
"""The highest `oom_score_adj`: no image pays for a shadow model's or a drawing worker's memory."""


def lock_of(settings: Settings) -> Path:
    """Name the lock of the accelerator, beside the control socket, so that `classify` finds it."""
    return settings.control.socket.parent / "coral.lock"


def access_of(settings: Settings, bundle: Bundle) -> Access | None:
    """
    Say how workers get at the accelerator; None if they are not to use one.

    Raises:
        ModelError: the configuration insists on one, and the bundle has nothing that it could run.
    """
    model = settings.model
    if model.backend not in {"auto", BACKEND}:
        return None
    if bundle.manifest.compiled is None:
        if model.backend == "auto":
            return None
        msg = (
            "model.backend is edgetpu, and no model of the bundle names an edgetpu "
            "file: compile its int8 model, see docs/guides/coral.md"
        )
        raise ModelError(msg)
    if model.backend == "auto" and (
        settings.worker.count > 1 or not any(device.usable for device in devices())
    ):
        return None
    return Access(model.edgetpu_library, model.edgetpu_device, str(lock_of(settings)))


def job_for(settings: Settings, bundle: Bundle) -> Job:
    """
    Describe the work of the workers: a bundle and limits, never the settings.

    Raises:
        ModelError: an accelerator is insisted on, and the bundle has nothing that it could run.
    """
    worker, model = settings.worker, settings.model
    access = access_of(settings, bundle)
    limits = (worker.max_file_mb * 2**20, worker.max_megapixels * 1_000_000, model.implants)
    arguments = (
        str(bundle.folder),
        model.processor_backend,
        model.threads,
        model.operating_point,
        *limits,
        model.decide_unmeasured,
    )
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
    """Open the installed models of this device."""
    return ModelStore(
        settings.state.path / "models",
        shipped_bundle(),
        Trust(settings.model.keys, settings.model.allow_unsigned),
    )


def open_serving(
    settings: Settings,
    folder: Path | None = None,
    *,
    expendable: bool = False,
    draws: bool = False,
) -> Serving:
    """
    Verify a bundle, by default the one that serves, and have it proved by workers.

    Args:
        settings: what was configured.
        folder: the bundle's.
        expendable: the kernel ends these workers first when memory is short, as a shadow model's.
        draws: they return a `Drawn` in place of a `Result`.

    Raises:
        ModelError: it is not usable.
        Unavailable: no worker came up.
    """
    bundle = verify(folder or settings.model.bundle or open_store(settings).current())
    bundle.decision(bundle.manifest.default_model, settings.model.operating_point)
    job = job_for(settings, bundle)
    if expendable:
        job = replace(job, oom_score_adj=EXPENDABLE)
    if draws:
        arguments = (settings.pacs.map, *job.arguments)
        job = replace(job, start=f"{DRAWING}.start", run=f"{DRAWING}.run", arguments=arguments)
    return Serving(bundle, Workers(job))
