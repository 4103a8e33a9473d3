"""
Stand in for a Coral accelerator: a library in place of libedgetpu, and a bundle compiled for it.
"""

import hashlib
import json
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, cast

import pytest

from edge.config.settings import Control, Model, Settings
from edge.daemon.workers import servable
from edge.domain import Result, Runtime
from edge.inference.engine.edgetpu import EdgeTpuEngine
from edge.inference.examiner import Examiner, open_examiner
from edge.inference.image import Limits
from edge.models.active import shipped_bundle
from edge.models.bundle import Bundle, verify
from edge.system.coral import Access, Device
from tests.support.films import raster, small
from tests.support.tools import need

SOURCE: Final = Path(__file__).with_name("coral.c")
INPUT: Final = (1, 64, 40, 1)
SPEC: Final = {
    "height": 64,
    "width": 40,
    "channels": 1,
    "low": 0.0,
    "high": 1.0,
    "aspect": "pad",
    "crop": True,
}
MODEL: Final = "model_int8.tflite"
COMPILED: Final = "model_int8_edgetpu.tflite"
MEAN, LOGISTIC, CUSTOM = 40, 14, 32
FLOAT32, INT32 = 0, 2
REDUCER_OPTIONS: Final = 27


class StandIn:
    """The library in place of libedgetpu, and its orders."""

    def __init__(self, library: Path, folder: Path) -> None:
        self.library = library
        self.orders = folder / "orders"
        self.lock = folder / "coral.lock"
        self.does("its work")

    def does(self, what: str) -> None:
        """
        Order a fault: `none`, `crash`, `refuse`, `fail`, `abort`, `hang`, `wrong`, `a bit off` or
        `nan`. Any other word means work.
        """
        self.orders.write_text(what)

    @property
    def access(self) -> Access:
        return Access(str(self.library), "usb", str(self.lock))


def compiled_library(folder: Path) -> Path:
    """Compile the stand-in as a shared library."""
    library = folder / "libstandin.so"
    subprocess.run(
        [need("cc", "gcc libc6-dev"), "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-lm"],
        check=True,
    )
    return library


def make_bundle(folder: Path, **changes: object) -> Path:
    """
    Make a bundle whose model takes a millisecond; `changes` go into the entry of its one model.
    """
    pixels = small()
    files = {
        MODEL: tflite(compiled=False),
        COMPILED: tflite(compiled=True),
        "known/1.png": raster("png", pixels),
        "known/2.png": raster("png", pixels[:80]),
    }
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    manifest = json.loads((shipped_bundle() / "bundle.json").read_text())
    manifest |= {
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
        "default_model": MODEL,
    }
    manifest["input"] |= SPEC
    manifest["outputs"] = {"probability": [1, 1]}
    model = next(iter(manifest["models"].values()))
    model |= {
        "quantization": "int8",
        "tolerance": {"litert": 1e-4, "tflite-runtime": 1e-4},
        "edgetpu": COMPILED,
    }
    model["gate"] = {"min_breast_fraction": 0.0, "max_breast_fraction": 1.0, "min_contrast": 0.0}
    model["known_answers"] = [
        {"image": name, "raw": 0.5} for name in files if name.startswith("known/")
    ]
    manifest["models"] = {MODEL: model}
    (folder / "bundle.json").write_text(json.dumps(manifest))
    asked = Examiner(verify(folder), "auto", 1, None, Limits())
    for answer in model["known_answers"]:
        outcome = asked.examine(folder / answer["image"])
        assert isinstance(outcome, Result)
        answer["raw"] = outcome.prediction.raw
    model |= changes
    (folder / "bundle.json").write_text(json.dumps(manifest))
    return folder


def tflite(*, compiled: bool) -> bytes:
    """Build sigmoid(mean(input)) as two operators, or as the one that edgetpu_compiler leaves."""
    tensors = [_tensor(INPUT, FLOAT32, "input"), _tensor((1, 1), FLOAT32, "probability")]
    if compiled:
        codes: list[Any] = [(CUSTOM, "edgetpu-custom-op", 1, CUSTOM)]
        operators: list[Any] = [(0, [0], [1], None, None, b"what the compiler wrote")]
    else:
        codes = [(MEAN, None, 1, MEAN), (LOGISTIC, None, 1, LOGISTIC)]
        tensors += [_tensor((2,), INT32, "axes", buffer=1), _tensor((1, 1), FLOAT32, "mean")]
        operators = [(0, [0, 2], [3], REDUCER_OPTIONS, (0,)), (1, [3], [1])]
    subgraph = (tensors, [0], [1], operators, "main")
    return flatbuffer(
        (3, codes, [subgraph], "a test's", [(), (struct.pack("<2i", 1, 2),)]), b"TFL3"
    )


def _tensor(shape: tuple[int, ...], kind: int, name: str, buffer: int = 0) -> tuple[Any, ...]:
    return (list(shape), kind, buffer, name)


def flatbuffer(root: tuple[Any, ...], identifier: bytes) -> bytes:
    """
    Serialise a table: https://flatbuffers.dev/internals.

    Args:
        root: a table is a tuple of fields, each None, an int (in four bytes), a string, bytes, a
            table, or a list of ints or tables.
        identifier: four bytes.
    """
    out = bytearray(8)

    def put(node: Any) -> int:  # noqa: ANN401 - as described
        out.extend(bytes(-len(out) % 16))
        if isinstance(node, str | bytes):
            data = node.encode() if isinstance(node, str) else node
            out.extend(
                bytes(12) + struct.pack("<I", len(data)) + data + b"\0"
            )  # what a vector holds may have to be aligned
            return len(out) - len(data) - 5
        head = b""
        if isinstance(node, tuple):
            head = struct.pack(
                f"<HH{len(node)}H",
                4 + 2 * len(node),
                4 + 4 * len(node),
                *(0 if v is None else 4 + 4 * i for i, v in enumerate(node)),
            )
            head += bytes(-len(head) % 4)
        at = len(out) + len(head)
        out.extend(head + struct.pack("<i", len(head) or len(node)))
        slots = len(out)
        out.extend(bytes(4 * len(node)))
        for slot, value in enumerate(node):
            here = slots + 4 * slot
            if value is not None:
                struct.pack_into(
                    "<i", out, here, value if isinstance(value, int) else put(value) - here
                )
        return at

    struct.pack_into("<I4s", out, 0, put(root), identifier)
    return bytes(out)


class Pretend:
    """A pool that runs nothing, in place of workers."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.closed = self.lost = self.mended = False

    def mend(self) -> None:
        self.mended = True

    def close(self) -> None:
        self.closed = True


# Fixtures; a test module that uses them names them in its __all__.


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled_library(tmp_path_factory.mktemp("library"))


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="session")
def bundle(folder: Path) -> Bundle:
    return verify(folder)


@pytest.fixture
def stand_in(library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """Plug in an accelerator that works until it gets other orders."""
    made = StandIn(library, tmp_path)
    monkeypatch.setenv("STAND_IN_CORAL", str(made.orders))
    monkeypatch.setattr(servable, "devices", lambda: [Device("USB", tmp_path, 5000)])
    return made


def settings(stand_in: StandIn, **model: object) -> Settings:
    """Make settings whose lock file is that of the stand-in."""
    chosen = {
        "edgetpu_library": str(stand_in.library),
        "edgetpu_device": "usb",
        "backend": "edgetpu",
    } | model
    return Settings(
        model=Model(**cast(Any, chosen)),
        control=Control(socket=stand_in.lock.with_name("control.sock")),
    )


@contextmanager
def opened(bundle: Bundle, access: Access | None) -> Iterator[Examiner]:
    """Open an engine as a worker does, and give the accelerator back at the end."""
    examiner = open_examiner(bundle, "auto", 1, None, Limits(), access)
    yield examiner
    if isinstance(examiner.engine, EdgeTpuEngine):
        examiner.engine.close()


def image(tmp_path: Path) -> Path:
    path = tmp_path / "film.png"
    path.write_bytes(raster("png", small()))
    return path
