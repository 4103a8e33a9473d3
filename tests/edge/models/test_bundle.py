"""A bundle is what its manifest says, and nothing outside its folder."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.errors import ModelError
from edge.models.active import shipped_bundle
from edge.models.bundle import verify
from edge.models.signature import check_signature
from tests.support.bundles import tiny
from tests.support.keys import key_pair


def test_a_name_that_climbs_is_refused_even_where_a_link_brings_it_back(tmp_path: Path) -> None:
    """
    Copied to a place without that link, it would be written beside the installed bundles: over
    `active.json`, for example.
    """
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
    assert (
        verify(shipped_bundle() / ".." / shipped_bundle().name).manifest
        == verify(shipped_bundle()).manifest
    )


@pytest.mark.parametrize("name", ["bundle.json", "bundle.json.sig", "model.tflite"])
@pytest.mark.parametrize(
    "make",
    [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), Path.mkdir],
    ids=["fifo", "device", "folder"],
)
def test_what_is_no_regular_file_is_refused_and_not_waited_for(
    make: Callable[[Path], object], name: str, tmp_path: Path
) -> None:
    folder = tiny(tmp_path / "bundle", "1.0", key_pair(tmp_path, "clinic"))
    (folder / name).unlink()
    make(folder / name)
    with pytest.raises(
        ModelError,
        match=rf"{name}: it is not a regular file|model\.tflite'? leaves the bundle's folder",
    ):
        check_signature(verify(folder).folder, tmp_path / "keys", allow_unsigned=False)
