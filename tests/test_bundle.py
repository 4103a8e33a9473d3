"""A bundle is what its manifest says, and nothing outside its folder."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from edge.bundle import verify
from edge.errors import ModelError
from edge.serving import shipped_bundle


def test_a_name_that_climbs_is_refused_even_where_a_link_brings_it_back(tmp_path: Path) -> None:
    """Copied to a place without that link, it would be written beside the installed bundles: over `active.json`, for example."""
    folder = tmp_path / "bundle"
    shutil.copytree(shipped_bundle(), folder)
    (folder / "sub/deep").mkdir(parents=True)
    (folder / "link").symlink_to("sub/deep")
    (folder / "active.json").write_text("{}")
    manifest = json.loads((folder / "bundle.json").read_text())
    manifest["files"]["link/../../active.json"] = hashlib.sha256(b"{}").hexdigest()
    (folder / "bundle.json").write_text(json.dumps(manifest))
    with pytest.raises(ModelError, match="leaves the bundle's folder"):
        verify(folder)


def test_a_bundle_may_be_named_from_beside_it() -> None:
    assert verify(shipped_bundle() / ".." / shipped_bundle().name).manifest == verify(shipped_bundle()).manifest
