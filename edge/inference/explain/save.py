"""
`mammo-edge classify --explain`: the worker's examination with a picture of it.

No sockets, no settings.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2

from edge.domain import Outcome, Rejection, Runtime
from edge.errors import ModelError, Unavailable
from edge.inference import examiner
from edge.inference.explain import picture_name
from edge.inference.explain.drawing import draw
from edge.inference.trace import Trace
from edge.models.bundle import Bundle, sha256_of
from edge.system import files


@dataclass(frozen=True, slots=True)
class Pictures:
    """A folder of pictures, each with its `picture_name`."""

    folder: Path
    bundle: Bundle

    def save(self, trace: Trace, image_id: str) -> Path:
        """
        Draw one examination; an older picture of the same bytes is replaced.

        Raises:
            Unavailable: the folder cannot be written.
        """
        manifest = self.bundle.manifest
        done, data = cv2.imencode(
            ".png", draw(trace, image_id, f"{manifest.name} {manifest.version}", manifest.input)
        )
        path = self.folder / picture_name(image_id)
        if not done:
            msg = f"{path}: cannot be encoded"
            raise Unavailable(msg)
        try:
            files.write(path, data.tobytes())
        except OSError as error:
            msg = f"{path}: {error.strerror}"
            raise Unavailable(msg) from None
        return path

    def save_rejection(self, rejection: Rejection, image_id: str) -> Path:
        """Draw a rejection that no worker lived to draw; raises as `save` does."""
        return self.save(Trace(rejection), image_id)


_pictures: Pictures | None = None


def start(pictures: str, *arguments: Any) -> Runtime:  # noqa: ANN401 - those of examiner.start
    """
    Load a bundle as `examiner.start` does, and note the folder of the pictures.

    Raises:
        ModelError: the bundle is not usable.
    """
    global _pictures  # noqa: PLW0603 - one worker, one model
    runtime = examiner.start(*arguments)
    _pictures = Pictures(Path(pictures), examiner.examiner().bundle)
    return runtime


def run(path: str) -> Outcome:
    """
    Examine one file and write its picture.

    Raises:
        ModelError: `start` was not called.
        Unavailable: the file cannot be read, or the picture not written.
    """
    if _pictures is None:
        msg = "no folder for pictures was named in this worker"
        raise ModelError(msg)
    trace = examiner.examiner().look(Path(path))
    _pictures.save(trace, sha256_of(Path(path)))
    return trace.outcome
