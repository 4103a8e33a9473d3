"""The sections about scoring: the model and the worker processes that run it."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from edge.config.section import Count, Seconds, Section
from edge.domain import Implants


class Model(Section):
    """The model and its runtime."""

    bundle: Path | None = None
    """
    A bundle's folder, yours to vouch for: its signature is not checked. Default: the bundle chosen
    by `mammo-edge model activate`, otherwise the one that comes with the package.
    """
    keys: Path = Path("/etc/mammo-edge/keys")
    """Public keys (Ed25519, PEM, NAME.pub) of those whose bundles may be installed."""
    allow_unsigned: bool = False
    """Also install bundles that nobody signed."""
    trial_images: Annotated[int, Field(ge=0)] = 20
    """
    A newly activated model is on trial for this many images. The previous model is taken back if
    two of them get no score, or if, from the tenth on, nearly all are refused or indeterminate and
    were not before. 0 puts no model on trial.
    """
    install_from: Path | None = None
    """
    A folder; command/model/install may name bundles in it, and none anywhere else. Default: it may
    name none.
    """
    max_fetch_mb: Count = 64
    """The largest bundle accepted from model/available, in MiB."""
    fetch_s: Seconds = 60.0
    """Seconds to wait for the announcement, and for each chunk of a bundle."""
    shadow: str | None = None
    """
    An installed bundle, by its version or the beginning of its id, that sees every image too and
    decides nothing: its results go to shadow/result. It needs one more worker.
    """
    operating_point: str | None = None
    """A name from the bundle's manifest. Default: the bundle's own."""
    decide_unmeasured: bool = False
    """
    Also call images benign or malignant that are of a kind, film or digital, on which the model was
    not measured or no better than chance. Otherwise they are indeterminate.
    """
    backend: Literal["auto", "cpu", "litert", "tflite-runtime", "edgetpu"] = "auto"
    """
    `cpu` takes litert if it is installed, otherwise tflite-runtime. `auto` does the same, but takes
    a Coral accelerator if one is plugged in, the bundle has a file compiled for it, and
    worker.count is 1. `edgetpu` insists on the accelerator: without it the processor works, and the
    state is `degraded`.
    """
    edgetpu_library: str = "libedgetpu.so.1"
    """The Coral accelerator's library, by name or path."""
    edgetpu_device: Annotated[str, Field(pattern=r"^(usb|pci)?(:[0-9]+)?$")] = ""
    """The accelerator to use if there are several: usb, pci, usb:0, pci:1. Default: any."""
    edgetpu_retry_s: Seconds = 300.0
    """Seconds before a lost or unavailable accelerator is tried again."""
    threads: Count = 1
    """Threads of one inference. Two help from 384 px on, not below."""
    implants: Implants = "flag"
    """
    Breasts with implants, by their DICOM tag: `flag` scores them and says so, `accept` says
    nothing, `reject` gives no score.
    """

    @property
    def processor_backend(self) -> str:
        """The runtime for inference on the processor: `auto`, `litert` or `tflite-runtime`."""
        return "auto" if self.backend in {"cpu", "edgetpu"} else self.backend


class Worker(Section):
    """Processes that decode and score, and the limits for one image."""

    count: Count = 1
    """Number of processes."""
    timeout_s: Seconds = 60.0
    """
    A worker that needs longer for one image is killed; the second time the image is rejected as
    poison.
    """
    cpu_s: Seconds = 120.0
    """
    Processor time that one image may take, all threads together, in seconds; more is treated like
    timeout_s.
    """
    memory_mb: Annotated[int, Field(ge=512)] = 4096
    """Address space of one worker, in MiB."""
    max_file_mb: Count = 256
    """Larger files are rejected unread."""
    max_megapixels: Count = 100
    """Images with more pixels are rejected undecoded."""
