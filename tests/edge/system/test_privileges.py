"""What root installs it writes as the daemon: whoever broke into the daemon leads root nowhere."""

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

import pytest

from edge.errors import Unavailable
from edge.models.store import ModelStore, Trust
from edge.system.files import Beat, copy
from edge.system.privileges import as_owner_of
from tests.support.bundles import tiny
from tests.support.tools import need_root

DAEMON: Final = 61234
"""A user and group that nobody needs to know."""


@pytest.fixture
def place() -> Iterator[Path]:
    """
    A folder that everyone may pass through, unlike pytest's own, with the daemon's `state` and
    root's `etc`.
    """
    need_root()
    with tempfile.TemporaryDirectory() as made:
        place = Path(made)
        place.chmod(0o711)
        for name in ("state", "etc"):
            (place / name).mkdir()
        os.chown(place / "state", DAEMON, DAEMON)
        yield place


@pytest.fixture
def source(place: Path) -> Path:
    """A bundle that root alone may read."""
    folder = tiny(place / "bundle", "2.0")
    folder.chmod(0o700)
    return folder


@pytest.fixture
def store(place: Path, tmp_path: Path) -> ModelStore:
    return ModelStore(
        place / "state/models",
        tiny(tmp_path / "shipped", "1.0"),
        Trust(tmp_path / "keys", allow_unsigned=True),
    )


def who() -> tuple[int, int, list[int], int]:
    """User, group, further groups and umask."""
    mask = os.umask(0)
    os.umask(mask)
    return os.geteuid(), os.getegid(), os.getgroups(), mask


def test_what_root_installs_and_chooses_belongs_to_the_daemon_and_is_for_nobody_else(
    store: ModelStore, source: Path
) -> None:
    before = who()
    store.activate(store.install(source, lambda _: None).bundle_id)
    found = [path.stat() for path in (store.root, *store.root.rglob("*"))]
    assert {(one.st_uid, one.st_gid, stat.filemode(one.st_mode)) for one in found} == {
        (DAEMON, DAEMON, "drwxr-x---"),
        (DAEMON, DAEMON, "-rw-r-----"),
    }
    assert store.current().name == store.active().current
    assert who() == before


def test_a_folder_that_becomes_a_link_while_root_installs_leads_root_nowhere(
    store: ModelStore, source: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def attacked(
        source: Path, target: Path, beat: Beat, writing: AbstractContextManager[None]
    ) -> None:
        if target.parent.name == "known" and not target.parent.is_symlink():
            target.parent.rmdir()
            target.parent.symlink_to(place / "etc")
        copy(source, target, beat, writing)

    monkeypatch.setattr("edge.models.staging.copy", attacked)
    with pytest.raises(Unavailable, match="Permission denied"):
        store.install(source, lambda _: None)
    assert list((place / "etc").iterdir()) == []


def test_root_is_root_again_whatever_happens_and_stays_root_where_the_folder_is_root_s(
    place: Path,
) -> None:
    before = who()

    def fail() -> None:
        with as_owner_of(place / "state"):
            assert who() == (DAEMON, DAEMON, [], 0o027)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert who() == before
    with as_owner_of(place / "etc"):
        assert who() == before
