"""
Bundles of a few kilobytes that hash, sign and install like the real one, without a working model.
"""

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

from edge.models.active import shipped_bundle
from edge.models.signature import sign


def manifest() -> dict[str, Any]:
    """Read the manifest of the shipped bundle."""
    found: dict[str, Any] = json.loads((shipped_bundle() / "bundle.json").read_bytes())
    return found


def tiny(folder: Path, version: str, key: Path | None = None) -> Path:
    """Write the shipped bundle's manifest over files of a few bytes."""
    fields = manifest() | {"version": version}
    for name in fields["files"]:
        data = f"{name} of {version} ".encode() * 300
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
        fields["files"][name] = hashlib.sha256(data).hexdigest()
    (folder / "bundle.json").write_text(json.dumps(fields))
    if key is not None:
        sign(folder, key)
    return folder


def signed_copy(folder: Path, version: str, key: Path) -> Path:
    """Copy the shipped bundle under another version and sign it; its files share their bytes."""
    bundle = folder / f"bundle-{version}"
    same_disk = folder.stat().st_dev == shipped_bundle().stat().st_dev
    shutil.copytree(shipped_bundle(), bundle, copy_function=os.link if same_disk else shutil.copy2)
    (bundle / "bundle.json").unlink()
    (bundle / "bundle.json").write_text(json.dumps(manifest() | {"version": version}))
    sign(bundle, key)
    return bundle


def proved(_folder: Path) -> None:
    """Find nothing wrong with a model, in place of running it."""
