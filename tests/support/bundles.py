"""
Bundles of a few kilobytes that hash, sign and install like the real one; only a model that runs is
missing.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from edge.daemon.workers.servable import shipped_bundle
from edge.models.signature import sign


def manifest() -> dict[str, Any]:
    """The shipped bundle's."""
    found: dict[str, Any] = json.loads((shipped_bundle() / "bundle.json").read_bytes())
    return found


def tiny(folder: Path, version: str, key: Path | None = None) -> Path:
    """The shipped bundle's manifest over files of a few bytes."""
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
