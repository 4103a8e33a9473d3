"""
A bundle through the broker: whatever comes instead of it is refused, whatever is missing is fetched
later, and nothing is left over.
"""

import errno
import itertools
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from edge.config.settings import Model
from edge.errors import ConfigError, MammoEdgeError, ModelError, Unavailable
from edge.models.active import SHIPPED
from edge.models.signature import sign, signer
from edge.models.store import ModelStore, Trust
from edge.models.transfer import announcement, download
from edge.models.transfer.installer import Installer
from tests.support.bundles import tiny
from tests.support.keys import key_pair

CHUNK: Final = 1024


@dataclass
class Retained:
    """What a broker keeps on `model/available` and below, and who asked for what."""

    topics: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def put(self, below: str, payload: bytes) -> None:
        self.topics[below] = payload
        if not payload:
            del self.topics[below]

    def get(self, below: str) -> bytes:
        self.asked.append(below)
        if below not in self.topics:
            msg = f"model/available{below}: nothing came within 60 s"
            raise Unavailable(msg)
        return self.topics[below]

    def announce(self, **changes: Any) -> None:  # noqa: ANN401 - JSON
        """Change the announcement, as somebody would who may write to the topic."""
        self.topics[""] = json.dumps(json.loads(self.topics[""]) | changes).encode()


@pytest.fixture
def broker() -> Retained:
    return Retained()


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(
        tmp_path / "state/models",
        tiny(tmp_path / "shipped", "1.0"),
        Trust(tmp_path / "keys", allow_unsigned=False),
    )


@pytest.fixture
def installer(store: ModelStore, broker: Retained, tmp_path: Path) -> Installer:
    return Installer(store, Model(install_from=tmp_path / "allowed"), lambda _: None, broker.get)


@pytest.fixture
def made(broker: Retained, tmp_path: Path) -> announcement.Announcement:
    """Version 2.0, signed and published in chunks of 1 KiB."""
    folder = tiny(tmp_path / "bundle", "2.0", key_pair(tmp_path, "clinic"))
    made = announcement.make_announcement(folder, CHUNK)
    announcement.publish(folder, made, broker.put)
    return made


def left_over(store: ModelStore) -> list[str]:
    return [path.name for path in store.root.glob(".*")] if store.root.exists() else []


def test_what_is_published_is_installed_and_nothing_is_left_over(
    installer: Installer, store: ModelStore, made: announcement.Announcement
) -> None:
    answer = installer.install({"bundle": "2.0"})
    assert answer == {"bundle": made.bundle, "name": "mammo-default", "version": "2.0"}
    assert store.trusted(made.bundle).is_dir()
    assert (left_over(store), store.active().current) == ([], SHIPPED)


def test_what_is_installed_already_is_not_fetched_again(
    installer: Installer, broker: Retained, made: announcement.Announcement
) -> None:
    installer.install({"bundle": made.bundle[:12]})
    broker.asked.clear()
    assert installer.install({"bundle": "2.0"})["bundle"] == made.bundle
    assert broker.asked == [""]


def test_a_bundle_that_is_installed_and_announced_under_another_signature_takes_it_over(
    installer: Installer,
    broker: Retained,
    store: ModelStore,
    made: announcement.Announcement,
    tmp_path: Path,
) -> None:
    installer.install({"bundle": "2.0"})
    sign(tmp_path / "bundle", key_pair(tmp_path, "vendor"))
    announcement.publish(
        tmp_path / "bundle", announcement.make_announcement(tmp_path / "bundle", CHUNK), broker.put
    )
    assert installer.install({"bundle": "2.0"})["bundle"] == made.bundle
    assert signer(store.folder(made.bundle), tmp_path / "keys") == "vendor"


def test_a_missing_chunk_is_named_and_the_next_try_goes_on_behind_what_came(
    installer: Installer, broker: Retained, store: ModelStore, made: announcement.Announcement
) -> None:
    missing = broker.topics.pop(made.topic(7))
    with pytest.raises(Unavailable, match=f"{made.sha256}/7: nothing came"):
        installer.install({"bundle": "2.0"})
    broker.put(made.topic(7), missing)
    broker.asked.clear()
    installer.install({"bundle": "2.0"})
    assert broker.asked == ["", *(made.topic(number) for number in range(7, made.chunks))]
    assert left_over(store) == []


def test_a_chunk_that_was_written_in_part_is_asked_for_again(
    installer: Installer, broker: Retained, store: ModelStore, made: announcement.Announcement
) -> None:
    store.root.mkdir(parents=True)
    (store.root / f".fetching-{made.sha256}").write_bytes(
        broker.topics[made.topic(0)] + broker.topics[made.topic(1)][:10]
    )
    installer.install({"bundle": "2.0"})
    assert broker.asked[1] == made.topic(1)


def test_what_was_begun_of_another_bundle_makes_room(
    installer: Installer, store: ModelStore, made: announcement.Announcement
) -> None:
    store.root.mkdir(parents=True)
    (store.root / f".fetching-{'0' * 64}").write_bytes(b"x")
    (store.root / ".unpacked-x").mkdir()
    assert installer.install({"bundle": made.bundle})["version"] == "2.0"
    assert left_over(store) == []


def shortened(broker: Retained, made: announcement.Announcement) -> None:
    broker.topics[made.topic(3)] = broker.topics[made.topic(3)][:-1]


def flipped(broker: Retained, made: announcement.Announcement) -> None:
    data = bytearray(broker.topics[made.topic(3)])
    data[5] ^= 1
    broker.topics[made.topic(3)] = bytes(data)


def swapped(broker: Retained, made: announcement.Announcement) -> None:
    topics, (one, two) = broker.topics, (made.topic(3), made.topic(4))
    topics[one], topics[two] = topics[two], topics[one]


def huge(broker: Retained, made: announcement.Announcement) -> None:
    broker.topics[made.topic(3)] *= 1000


def of_another_bundle(broker: Retained, made: announcement.Announcement) -> None:
    broker.announce(bundle="0" * 64)
    assert made.bundle != "0" * 64


def renamed(name: str) -> Callable[[Retained, announcement.Announcement], None]:
    """The last file under another name."""

    def spoil(broker: Retained, made: announcement.Announcement) -> None:
        files = [piece.model_dump() for piece in made.files]
        broker.announce(files=[*files[:-1], files[-1] | {"name": name}])

    return spoil


# JSON
def announced(**changes: Any) -> Callable[[Retained, announcement.Announcement], None]:  # noqa: ANN401
    return lambda broker, _: broker.announce(**changes)


def said(payload: bytes) -> Callable[[Retained, announcement.Announcement], None]:
    return lambda broker, _: broker.put("", payload)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (shortened, r"/3: 1023 bytes, expected 1024"),
        (huge, r"/3: 1024000 bytes, expected 1024"),
        (flipped, r"has the sha256 \w+, it was announced with"),
        (swapped, r"has the sha256 \w+, it was announced with"),
        (of_another_bundle, r"bundle.json is \w+, bundle 0000"),
        (renamed("../../active.json"), r"files.\d+.name: String should match"),
        (renamed("/etc/passwd"), "String should match"),
        (renamed("known/../../x"), "String should match"),
        (renamed(".hidden"), "String should match"),
        (renamed("a\0b"), "String should match"),
        (renamed("bundle.json"), "bundle.json is there twice"),
        (renamed("known"), "known is there twice"),
        (renamed("bundle.json/x"), "bundle.json/x is there twice"),
        (announced(size=1), r"size is 1, its files have \d+ bytes"),
        (announced(chunks=1), r"chunks is 1, \d+ bytes are \d+ chunks"),
        (announced(chunk_bytes=2**24), "less than or equal to 1048576"),
        (announced(chunk_bytes=0), "greater than or equal to 1024"),
        (announced(sha256="../x"), "sha256: String should match"),
        (announced(bundle="../../x"), "bundle: String should match"),
        (announced(files=[]), "at least 1 item"),
        (announced(schema="mammo.available/2"), "schema: Input should be"),
        (said(b"{"), "the whole of it: Invalid JSON"),
        (said(b"[" * 100_000), "the whole of it: Invalid JSON"),
        (said(b" " * (2**20 + 1)), "1048577 bytes, expected 1048576 at most"),
    ],
)
# fixtures
def test_whatever_else_comes_is_refused_with_the_reason_and_leaves_nothing(  # noqa: PLR0913, PLR0917
    installer: Installer,
    broker: Retained,
    store: ModelStore,
    made: announcement.Announcement,
    spoil: Callable[[Retained, announcement.Announcement], None],
    why: str,
) -> None:
    spoil(broker, made)
    with pytest.raises(ModelError, match=why):
        installer.install({"bundle": "2.0"})
    assert (list(store.bundles()), left_over(store)) == ([SHIPPED], [])


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        ({"bundle": "1.9"}, "announces version 2.0, bundle .* the command wants 1.9"),
        ({"bundle": ""}, "the command wants "),
        ({}, 'expected {"folder": '),
        ({"bundle": 2}, 'expected {"folder": '),
        ({"bundle": "2.0", "folder": "x"}, 'expected {"folder": '),
        ({"folder": ".."}, "'..' is not in "),
        ({"folder": "."}, "'.' is not in "),
        ({"folder": "/etc"}, "'/etc' is not in "),
        ({"folder": "out"}, "'out' is not in "),
        ({"folder": "a\0b"}, r"'a\\x00b' is not in "),
    ],
)
def test_a_request_that_names_what_it_may_not_is_refused(
    installer: Installer,
    made: announcement.Announcement,
    tmp_path: Path,
    request_: dict[str, object],
    why: str,
) -> None:
    (tmp_path / "allowed").mkdir()
    (tmp_path / "allowed/out").symlink_to(tmp_path / "bundle")
    assert made.version == "2.0"
    with pytest.raises(ConfigError, match=why):
        installer.install(request_)


def test_a_bundle_is_installed_from_the_allowed_folder_and_from_none_unless_it_is_set(
    installer: Installer, store: ModelStore, broker: Retained, tmp_path: Path
) -> None:
    tiny(tmp_path / "allowed/next", "2.0", key_pair(tmp_path, "clinic"))
    with pytest.raises(ConfigError, match="install_from is not set"):
        Installer(store, Model(), lambda _: None, broker.get).install({"folder": "next"})
    assert installer.install({"folder": "next"})["version"] == "2.0"


def test_a_bundle_that_is_larger_than_the_setting_allows_is_not_fetched(
    broker: Retained, made: announcement.Announcement
) -> None:
    with pytest.raises(
        ConfigError, match=rf"announces {made.size} bytes, \[model\] max_fetch_mb allows 4096"
    ):
        download.read_wanted(broker.get, "2.0", 4096)
    assert broker.asked == [""]


def test_an_unsigned_bundle_from_the_broker_is_refused_unless_that_is_allowed(
    installer: Installer, store: ModelStore, broker: Retained, tmp_path: Path
) -> None:
    folder = tiny(tmp_path / "unsigned", "3.0")
    announcement.publish(folder, announcement.make_announcement(folder, CHUNK), broker.put)
    with pytest.raises(ModelError, match="the bundle is not signed"):
        installer.install({"bundle": "3.0"})
    assert (list(store.bundles()), left_over(store)) == ([SHIPPED], [])
    lenient = ModelStore(
        store.root, store.folder(SHIPPED), Trust(tmp_path / "keys", allow_unsigned=True)
    )
    assert (
        Installer(lenient, Model(), lambda _: None, broker.get).install({"bundle": "3.0"})[
            "version"
        ]
        == "3.0"
    )


def test_a_full_disk_is_told_and_keeps_nothing_of_it(
    installer: Installer,
    store: ModelStore,
    made: announcement.Announcement,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = itertools.count()

    def full(_descriptor: int) -> None:
        if next(calls) == 5:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Unavailable, match="No space left"):
        installer.install({"bundle": made.bundle})
    assert left_over(store) == []


def test_a_bundle_that_is_withdrawn_leaves_nothing_at_the_broker(
    broker: Retained, made: announcement.Announcement
) -> None:
    announcement.withdraw(made, broker.put)
    assert broker.topics == {}


def test_a_damaged_bundle_is_not_announced(made: announcement.Announcement, tmp_path: Path) -> None:
    (tmp_path / "bundle" / made.files[-2].name).write_bytes(b"x")
    with pytest.raises(MammoEdgeError, match="sha256 is"):
        announcement.make_announcement(tmp_path / "bundle")
