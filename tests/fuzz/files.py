"""
Send mutated real files through the real workers, and keep those that kill one: `make fuzz`.

    python -m tests.fuzz.files 3600 fuzz-findings
    python -m tests.fuzz.files 600 fuzz-findings gdcm

The second goes through workers without the extra `fast`, so that GDCM decodes. GDCM is known to
abort its process on damaged files: there the death of a worker is no failure. A file without an
answer is one, and so is a whole file that no worker can examine afterwards.
"""

import io
import os
import queue
import random
import resource
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
)

from edge.config.settings import Settings
from edge.daemon.workers.pool import Workers
from edge.daemon.workers.servable import job_for
from edge.daemon.workers.verdict import Died, Interrupted, Verdict
from edge.domain import Outcome, Runtime
from edge.inference import examiner
from edge.inference.image import codecs
from edge.models.active import shipped_bundle
from edge.models.bundle import verify
from tests.support.films import RASTERS, deep, dicom, raster, small
from tests.support.frames import lut
from tests.support.raster_files import tiff
from tests.support.tiffs import APART, TOGETHER, Kind
from tests.support.tiffs import tiff as samples

HEADER: Final = 2500
"""The first bytes of a file, which hold most of the values that steer a decoder."""
MAX_LIFE: Final = 500
"""The number of files between two looks at the memory of the supervisor."""
ANSWER_S: Final = 120.0
"""Seconds to wait for a verdict: the time limit of one file, and a pool that is opened again."""
GDCM: Final = ("dicom jpeg lossless", "dicom jpeg-ls")


def corpus() -> dict[str, bytes]:
    """Make a small mammogram in every format that can be written without a system tool."""
    pixels = deep(small(64, 48), 12)
    twelve = {"BitsStored": 12, "HighBit": 11}
    files = {f"raster {extension}": raster(extension, small(64, 48)) for extension in RASTERS}
    files |= {
        f"deep {extension}": raster(extension, pixels)
        for extension in ("png", "tiff", "pgm", "jp2")
    }
    files["pgm text"] = (
        b"P2 48 64 4095\n" + " ".join(map(str, pixels.ravel().tolist())).encode() + b" \n"
    )
    files |= {
        f"tiff {name}": samples(np.dstack([pixels] * 2), Kind(planar, extra=2))
        for name, planar in (("alpha", TOGETHER), ("planes", APART))
    }
    files["png alpha"] = raster("png", np.dstack([small(64, 48)] * 4))
    files["tiff big"] = tiff(pixels, big=True, tile=32, packed=True)
    files |= {
        "dicom plain": dicom(pixels, **twelve, WindowCenter="2000", WindowWidth="3000"),
        "dicom tables": dicom(pixels, **twelve, **_tables()),
        "dicom groups": dicom(pixels, **twelve, **_groups(), PixelAspectRatio=["2", "1"]),
        "dicom implicit": dicom(pixels, ImplicitVRLittleEndian, **twelve),
        "dicom big-endian": dicom(pixels.astype(">u2"), ExplicitVRBigEndian, **twelve),
        "dicom deflated": dicom(pixels, DeflatedExplicitVRLittleEndian, **twelve),
    }
    return files | {
        f"dicom {name}": _packed(pixels, UID(uid), name) for name, uid in _encodings().items()
    }


def _tables() -> dict[str, Any]:
    """A modality LUT of 12 bits and a VOI LUT of 8, two entries in a word."""
    modality = lut("ModalityLUTSequence", [4096, 0, 12], "US", list(range(4096)))
    voi = lut("VOILUTSequence", [4096, 0, 8], "OW", (np.arange(4096) >> 4).astype("u1").tobytes())
    return modality | voi


def _groups() -> dict[str, Any]:
    """A window in functional groups."""
    window, group = Dataset(), Dataset()
    window.WindowCenter, window.WindowWidth = "2000", "3000"
    group.FrameVOILUTSequence = Sequence([window])
    return {"SharedFunctionalGroupsSequence": Sequence([group])}


def _encodings() -> dict[str, str]:
    light = {
        "rle": "1.2.840.10008.1.2.5",
        "jpeg 2000": "1.2.840.10008.1.2.4.90",
        "jpeg": "1.2.840.10008.1.2.4.50",
    }
    fast = {
        "jpeg lossless": "1.2.840.10008.1.2.4.70",
        "jpeg-ls": "1.2.840.10008.1.2.4.80",
        "htj2k": "1.2.840.10008.1.2.4.201",
        "jpeg 12": "1.2.840.10008.1.2.4.51",
    }
    return light | (fast if codecs.fast is not None else {})


def _packed(pixels: NDArray[np.uint16], syntax: UID, name: str) -> bytes:
    if name == "jpeg":
        eight = (pixels >> 4).astype(np.uint8)
        return _encapsulated(dicom(eight), cv2.imencode(".jpg", eight)[1].tobytes(), syntax)
    plain = dicom(pixels, BitsStored=12, HighBit=11)
    if name == "rle":
        dataset = pydicom.dcmread(io.BytesIO(plain))
        dataset.compress(syntax, encoding_plugin="pydicom")
        return _encapsulated(
            plain, pydicom.encaps.get_frame(dataset.PixelData, 0, number_of_frames=1), syntax
        )
    if name == "jpeg 2000":
        file = raster("jp2", pixels)
        return _encapsulated(plain, file[file.index(b"\xff\x4f\xff\x51") :], syntax)
    encoders = {
        "jpeg lossless": lambda: codecs.fast.jpeg8_encode(
            pixels, lossless=True, bitspersample=12, predictor=1
        ),
        "jpeg-ls": lambda: codecs.fast.jpegls_encode(pixels),
        "htj2k": lambda: codecs.fast.htj2k_encode(pixels, reversible=True),
        "jpeg 12": lambda: codecs.fast.jpeg8_encode(pixels, level=95, bitspersample=12),
    }
    return _encapsulated(plain, bytes(encoders[name]()), syntax)


def _encapsulated(plain: bytes, frame: bytes, syntax: UID) -> bytes:
    dataset = pydicom.dcmread(io.BytesIO(plain))
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = syntax
    file = io.BytesIO()
    dataset.save_as(file)
    return file.getvalue()


def mutated(data: bytes, seed: int) -> bytes:
    """Mutate bytes: some are changed, cut off, taken out, inserted or repeated."""
    rng = random.Random(seed)  # noqa: S311 - not for secrets
    changed = bytearray(data)
    near = min(len(changed), HEADER)
    match rng.randrange(6):
        case 0:
            return bytes(changed[: rng.randrange(len(changed))])
        case 1 | 2 as kind:
            for _ in range(rng.randint(1, 8)):
                changed[rng.randrange(near if kind == 1 else len(changed))] = rng.randrange(256)
        case 3:
            at = rng.randrange(len(changed))
            del changed[at : at + rng.randrange(1, 2000)]
        case 4:
            at = rng.randrange(near)
            changed[at:at] = rng.randbytes(rng.randint(1, 16))
        case _:
            at = rng.randrange(len(changed))
            changed[at:at] = changed[at : at + rng.randrange(1, 500)]
    return bytes(changed)


# those of edge.inference.examiner.start
def start_without_fast(*arguments: Any) -> Runtime:  # noqa: ANN401
    """Start a worker as an installation without the extra `fast` would."""
    codecs.fast = None
    return examiner.start(*arguments)


def main(duration_s: float, findings: Path, decoder: str = "fast") -> int:
    """
    Fuzz for a number of seconds.

    Args:
        duration_s: how long.
        findings: a folder for what killed a worker.
        decoder: `fast`, or `gdcm`: only what that decodes, by workers without the extra `fast`.

    Returns:
        How many files killed or hung a worker, or had no answer, or made the supervisor grow.
    """
    job = job_for(Settings(worker={"timeout_s": 20, "memory_mb": 2048}), verify(shipped_bundle()))
    end, files, seed = time.monotonic() + duration_s, corpus(), time.time_ns()
    if decoder == "gdcm":
        files, job = (
            {name: files[name] for name in GDCM},
            replace(job, start="tests.fuzz.files.start_without_fast"),
        )
    names = sorted(files)
    workers = Workers(job)
    # this is the command
    print(f"fuzzing for {duration_s:g} s from seed {seed}, findings go to {findings}")  # noqa: T201
    first, count, died, unanswered = 0, 0, 0, 0
    try:
        while time.monotonic() < end:
            name = names[(seed + count) % len(names)]
            data = mutated(files[name], seed + count)
            verdict = _examined(workers, data)
            if not isinstance(verdict, Outcome):
                died, unanswered = (
                    died + isinstance(verdict, Died),
                    unanswered + (not isinstance(verdict, Died)),
                )
                _keep(findings, name, seed + count, data, verdict)
            count += 1
            if count == MAX_LIFE:
                first = _resident_kb()
        grown = _resident_kb() - first if first else 0
        unanswered += sum(
            not isinstance(_examined(workers, files[name]), Outcome) for name in names
        )
    finally:
        workers.close()
    print(  # noqa: T201 - this is the command
        f"{count} files, {died} killed or hung a worker, {unanswered} had "
        f"no answer, the supervisor grew by {grown} kB"
    )
    return (0 if decoder == "gdcm" else died) + unanswered + (grown > 20_000)


def _examined(workers: Workers, data: bytes) -> Verdict | None:
    verdicts: queue.SimpleQueue[Verdict] = queue.SimpleQueue()
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        workers.submit(Path(file.name), verdicts.put)
        try:
            return verdicts.get(timeout=ANSWER_S)
        except queue.Empty:
            return None


def _keep(
    findings: Path, name: str, seed: int, data: bytes, verdict: Died | Interrupted | None
) -> None:
    findings.mkdir(parents=True, exist_ok=True)
    (findings / f"{name.replace(' ', '-')}-{seed}").write_bytes(data)
    print(f"{name}, seed {seed}: {verdict.why if verdict else f'no answer within {ANSWER_S:g} s'}")  # noqa: T201


def _resident_kb() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() // 1024


if __name__ == "__main__":
    sys.exit(min(main(float(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:]), os.EX_USAGE))
