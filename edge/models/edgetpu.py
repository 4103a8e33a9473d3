"""`mammo-edge model edgetpu`: a new bundle with a model that edgetpu_compiler has compiled."""

import hashlib
import json
from pathlib import Path
from typing import Any, Final

from edge.errors import ConfigError, ModelError, Unavailable
from edge.models.bundle import Bundle, verify
from edge.models.manifest import MANIFEST
from edge.system.coral import CUSTOM_OP
from edge.system.files import write

SUFFIX: Final = "_edgetpu.tflite"
"""The end of the names of the files that edgetpu_compiler writes."""


def add(folder: Path, compiled: Path, out: Path) -> dict[str, Any]:
    """
    Write a new bundle, which has another id and no signature.

    That the accelerator says the same is proved on a machine that has one.

    Args:
        folder: the bundle.
        compiled: the file that edgetpu_compiler made of its int8 model.
        out: the new bundle's folder; must not exist.

    Raises:
        ModelError: the bundle is not usable, has no int8 model, or the file was not compiled.
        ConfigError: a path is wrong.
        Unavailable: the disk does not take it.
    """
    bundle = verify(folder)
    model = _int8_model(bundle)
    data = _read(compiled)
    name = f"{model.removesuffix('.tflite')}{SUFFIX}"
    manifest = json.loads((folder / MANIFEST).read_bytes())
    manifest["files"][name] = hashlib.sha256(data).hexdigest()
    manifest["models"][model]["edgetpu"] = name
    files = {file: (folder / file).read_bytes() for file in bundle.manifest.files} | {name: data}
    _write(out, files | {MANIFEST: json.dumps(manifest, indent=1).encode() + b"\n"})
    return {"bundle": verify(out).bundle_id, "folder": str(out), "model": model, "edgetpu": name}


def _int8_model(bundle: Bundle) -> str:
    found = [name for name, model in bundle.manifest.models.items() if model.quantization == "int8"]
    if len(found) != 1:
        kinds = ", ".join(
            f"{name} ({model.quantization})" for name, model in bundle.manifest.models.items()
        )
        msg = (
            f"{bundle.folder}: found {kinds}, expected one int8 "
            "model: an Edge TPU runs nothing else"
        )
        raise ModelError(msg)
    return found[0]


def _read(compiled: Path) -> bytes:
    try:
        data = compiled.read_bytes()
    except OSError as error:
        msg = f"{compiled}: {error.strerror}"
        raise ConfigError(msg) from None
    if CUSTOM_OP not in data:
        msg = (
            f"{compiled}: found no {CUSTOM_OP.decode()} in it, expected what edgetpu_compiler wrote"
        )
        raise ModelError(msg)
    return data


def _write(out: Path, files: dict[str, bytes]) -> None:
    """Write the files in order; the manifest comes last."""
    try:
        out.mkdir(parents=True)
        for name, data in files.items():
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            write(out / name, data)
    except FileExistsError:
        msg = f"{out}: exists; name a new folder"
        raise ConfigError(msg) from None
    except OSError as error:
        msg = f"{out}: {error.strerror}"
        raise Unavailable(msg) from None
