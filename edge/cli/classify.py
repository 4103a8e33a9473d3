"""`mammo-edge classify`: scores here and now, without ledger, broker or configuration."""

import json
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from edge import NOTICE
from edge.cli import exits
from edge.cli.output import RESULT_HEAD, print_table, result_row
from edge.cli.progress import Progress
from edge.cli.workers import open_workers
from edge.config.load import load
from edge.config.settings import Settings
from edge.contract.render import Occasion, Sender, render
from edge.daemon.workers.job import Job
from edge.daemon.workers.pool import Workers
from edge.daemon.workers.verdict import Died, Interrupted, Verdict
from edge.domain import Outcome, Rejection
from edge.errors import ConfigError, Reason, Unavailable
from edge.inference.explain import picture_name
from edge.models.bundle import Bundle, sha256_of
from edge.system.files import regular_below

TRIES: Final = 3
"""Attempts for one image: a pool may break, or lose its accelerator, without the image's fault."""


def run(arguments: Namespace) -> int:
    """Print a result for each file; returns the exit status, 1 if one could not be read."""
    settings = load(arguments.config) if arguments.config else Settings()
    files = files_of(arguments.paths, arguments.explain)
    failed = False
    rows = []
    with Progress(len(files)) as progress:
        for message, unreadable in classify(files, settings, arguments.bundle, arguments.explain):
            failed |= unreadable
            if arguments.json:
                progress.hide()
                print(json.dumps(message), flush=True)
            else:
                rows.append(_row(message, arguments.explain))
            progress.step()
    if not arguments.json:
        start = ("file", "picture") if arguments.explain else ("file",)
        print_table((*start, *RESULT_HEAD), rows)
        print(NOTICE)
    return exits.FAILED if failed else 0


def _row(message: dict[str, Any], pictures: Path | None) -> tuple[object, ...]:
    """Return a row: file, its picture if there are pictures, result."""
    start, image_id = [message["source"]["path"]], message["image_id"]
    if pictures:  # none of a file that cannot be read
        start.append(picture_name(image_id) if image_id else "")
    return (*start, *result_row(message))


def files_of(paths: Sequence[Path], pictures: Path | None = None) -> list[Path]:
    """
    List the files of paths in the order given; of a folder all files below it, sorted.

    Args:
        paths: files and folders.
        pictures: a folder of which nothing is listed: it has what was drawn before.
    """
    found = [file for path in paths for file in regular_below(path)]
    if pictures is None:
        return found
    drawn = pictures.resolve()
    return [file for file in found if not file.resolve().is_relative_to(drawn)]


def classify(
    files: Sequence[Path],
    settings: Settings,
    bundle_folder: Path | None,
    pictures: Path | None = None,
) -> Iterator[tuple[dict[str, Any], bool]]:
    """
    Examine files one after the other, in the order given.

    Args:
        files: paths as typed.
        settings: the configuration; its sections `model` and `worker` count.
        bundle_folder: the bundle; None for the configured one.
        pictures: a folder for one picture per image, see `edge.inference.explain.save`.

    Yields:
        The message, in the published schema plus `source.path` as typed, and True if the path could
        not be read.

    Raises:
        ModelError: the bundle is not usable.
        ConfigError: the folder for pictures cannot be made.
        Unavailable: a picture cannot be written.
    """
    with open_workers(
        settings, bundle_folder, lambda job: _with_pictures(job, pictures) if pictures else job
    ) as (bundle, workers):
        for path in files:
            yield _message(path, bundle, workers, pictures)


def _with_pictures(job: Job, folder: Path) -> Job:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"{folder}: {error.strerror}"
        raise ConfigError(msg) from None
    spare = job.spare
    return replace(
        job,
        start="edge.inference.explain.save.start",
        run="edge.inference.explain.save.run",
        arguments=(str(folder), *job.arguments),
        spare=None if spare is None else lambda why: (str(folder), *spare(why)),
    )


def _message(
    path: Path, bundle: Bundle, workers: Workers, pictures: Path | None
) -> tuple[dict[str, Any], bool]:
    received_at, came = time.time(), time.monotonic()
    try:
        image_id = sha256_of(path)
    except OSError as error:
        outcome: Outcome = Rejection(Reason.MISSING, error.strerror or "cannot be read")
        occasion = Occasion(None, 0, received_at, received_at, wait_s=0.0, total_s=0.0)
        return _with_path(render(outcome, occasion, bundle, Sender()), path), True
    started = time.monotonic()
    verdict = _examine(path, workers)
    if pictures and isinstance(verdict, Died | Interrupted):
        _draw_poison(verdict, image_id, bundle, pictures)
    outcome = (
        Rejection(Reason.POISON, verdict.why)
        if isinstance(verdict, Died | Interrupted)
        else verdict
    )
    waited_s, total_s = started - came, time.monotonic() - came
    occasion = Occasion(image_id, 0, received_at, time.time(), waited_s, total_s)
    return _with_path(render(outcome, occasion, bundle, Sender()), path), False


def _examine(path: Path, workers: Workers) -> Verdict:
    for _ in range(TRIES - 1):
        verdict = workers.examine(path)
        if not isinstance(verdict, Interrupted):
            return verdict
    return workers.examine(path)


def _draw_poison(verdict: Died | Interrupted, image_id: str, bundle: Bundle, folder: Path) -> None:
    """
    Draw a picture that says that the worker died of the image.

    Raises:
        Unavailable: the work was interrupted; most likely the picture could not be written.
    """
    # OpenCV, which only pictures need here
    from edge.inference.explain.save import Pictures  # noqa: PLC0415

    if isinstance(verdict, Interrupted):
        raise Unavailable(verdict.why)
    Pictures(folder, bundle).save_rejection(Rejection(Reason.POISON, verdict.why), image_id)


def _with_path(message: dict[str, Any], path: Path) -> dict[str, Any]:
    message["source"]["path"] = str(path)
    return message
