"""Models side by side, one of which serves; a power cut at any step leaves a working one."""

import errno
import json
import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from edge.errors import ConfigError, ModelError, Unavailable
from edge.models.active import SHIPPED, Active, shipped_bundle
from edge.models.bundle import Bundle
from edge.models.signature import sign, signer
from edge.models.staging import locked
from edge.models.store import ModelStore
from edge.system.files import Beat, copy, write
from tests.support.bundles import proved
from tests.support.keys import key_pair


def test_nothing_installed_means_the_shipped_bundle_serves(store: ModelStore) -> None:
    assert (store.active(), store.current()) == (Active(), shipped_bundle())
    assert list(store.bundles()) == [SHIPPED]


def test_activate_and_rollback_go_back_and_forth(
    store: ModelStore, made: Callable[[str], Path]
) -> None:
    two, three = (store.install(made(version), proved).bundle_id for version in ("2.0", "3.0"))
    assert store.active().current == SHIPPED
    assert store.activate(two) == Active(two, SHIPPED)
    assert store.activate(three) == Active(three, two)
    assert store.activate(three) == Active(three, two)
    assert store.rollback_target() == two
    assert store.activate(store.rollback_target()) == Active(two, three)
    assert store.current() == store.folder(two)


def test_a_bundle_is_found_by_the_beginning_of_its_id_by_its_version_or_as_shipped(
    store: ModelStore, made: Callable[[str], Path]
) -> None:
    bundle_id = store.install(made("2.0"), proved).bundle_id
    assert {store.find(bundle_id), store.find(bundle_id[:6]), store.find("2.0")} == {bundle_id}
    assert store.find("shipped") == SHIPPED
    for unknown in ("9.9", bundle_id[:2], "../x", ""):
        with pytest.raises(ConfigError, match="of the installed bundles"):
            store.find(unknown)


def test_one_flipped_bit_is_refused_with_both_hashes_and_leaves_nothing(
    store: ModelStore, made: Callable[[str], Path]
) -> None:
    folder = made("2.0")
    known = folder / "known/1.png"
    data = bytearray(known.read_bytes())
    data[100] ^= 1
    known.unlink()
    known.write_bytes(data)
    with pytest.raises(ModelError, match=r"sha256 is .* bundle.json says"):
        store.install(folder, proved)
    assert list(store.bundles()) == [SHIPPED]


def test_what_does_not_prove_itself_is_not_installed(
    store: ModelStore, made: Callable[[str], Path]
) -> None:
    def refuse(_staged: Path) -> None:
        msg = "known answer 1.png: raw is 0.1, expected 0.2"
        raise ModelError(msg)

    with pytest.raises(ModelError, match="known answer"):
        store.install(made("2.0"), refuse)
    assert list(store.bundles()) == [SHIPPED]


def test_an_unsigned_one_is_refused_and_one_whose_key_was_withdrawn_serves_no_longer(
    store: ModelStore, made: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = made("2.0")
    store.activate(store.install(folder, proved).bundle_id)
    (tmp_path / "keys/clinic.pub").unlink()
    with pytest.raises(ModelError, match="signed by key"):
        store.current()
    (folder / "bundle.json.sig").unlink()
    with pytest.raises(ModelError, match="not signed"):
        store.install(folder, proved)


class PowerCutError(BaseException):
    """Nothing after it happens: not even what is caught or cleaned up."""


def test_a_power_cut_at_any_write_leaves_the_old_or_the_new_model_whole(
    store: ModelStore, made: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = made("2.0")
    rename, rmtree = Path.rename, shutil.rmtree
    steps = 0
    for cut in range(100):
        steps = 0

        def step() -> None:
            nonlocal steps
            steps += 1
            if steps > cut:  # noqa: B023 - used up before the next turn
                raise PowerCutError

        def cut_write(target: Path, data: bytes) -> None:
            step()
            write(target, data)

        def cut_copy(
            source: Path, target: Path, beat: Beat, writing: AbstractContextManager[None]
        ) -> None:
            step()
            copy(source, target, beat, writing)

        def cut_rename(self: Path, target: Path) -> Path:
            step()
            return rename(self, target)

        with monkeypatch.context() as patch:
            patch.setattr("edge.models.active.write", cut_write)
            patch.setattr("edge.models.staging.copy", cut_copy)
            patch.setattr(Path, "rename", cut_rename)
            patch.setattr(
                shutil,
                "rmtree",
                lambda path, **how: rmtree(path, **how) if steps <= cut else None,  # noqa: B023
            )
            try:
                store.activate(store.install(folder, proved).bundle_id)
            except PowerCutError:
                pass
            else:
                break
        bundles, active = store.bundles(), store.active()
        assert all(not isinstance(bundle, Exception) for bundle in bundles.values())
        assert active.current in bundles
        assert store.current().is_dir()
    assert cut > 5  # so many steps, each of which the power failed at
    assert store.active().current == store.find("2.0")
    assert not [path for path in store.folder("x").parent.iterdir() if path.name.startswith(".")]


def test_a_full_disk_is_told_as_such_and_leaves_nothing(
    store: ModelStore, made: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    folder = made("2.0")
    monkeypatch.setattr("edge.models.staging.copy", full)
    with pytest.raises(Unavailable, match="No space left"):
        store.install(folder, proved)
    assert list(store.bundles()) == [SHIPPED]


def test_what_serves_or_served_last_is_not_removed(
    store: ModelStore, made: Callable[[str], Path]
) -> None:
    two, three, four = (
        store.install(made(version), proved).bundle_id for version in ("2.0", "3.0", "4.0")
    )
    store.activate(two)
    store.activate(three)
    for name in (two, three, SHIPPED):
        with pytest.raises(ConfigError, match="what rollback goes back to"):
            store.remove(name)
    store.remove(four)
    assert set(store.bundles()) == {SHIPPED, two, three}


def test_rollback_without_a_former_model_says_so(store: ModelStore) -> None:
    with pytest.raises(ConfigError, match="no model served before"):
        store.rollback_target()


def test_a_damaged_choice_names_the_file_and_the_way_out(store: ModelStore) -> None:
    folder = store.folder("x").parent
    folder.mkdir(parents=True)
    (folder / "active.json").write_text("{")
    with pytest.raises(ModelError, match=r"active.json: .* remove it to serve the shipped model"):
        store.active()


def test_what_is_installed_and_damaged_is_replaced_by_installing_it_again(
    store: ModelStore, made: Callable[[str], Path]
) -> None:
    folder = made("2.0")
    bundle_id = store.install(folder, proved).bundle_id
    (store.folder(bundle_id) / "known/1.png").write_bytes(b"bit rot")
    assert isinstance(store.bundles()[bundle_id], ModelError)
    store.install(folder, proved)
    assert isinstance(store.bundles()[bundle_id], Bundle)


def test_a_bundle_that_was_signed_anew_by_another_key_is_trusted_by_that_one(
    store: ModelStore, made: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = made("2.0")
    bundle_id = store.install(folder, proved).bundle_id
    sign(folder, key_pair(tmp_path, "vendor"))
    assert store.install(folder, proved).bundle_id == bundle_id
    (tmp_path / "keys/clinic.pub").unlink()
    assert signer(store.trusted(bundle_id), tmp_path / "keys") == "vendor"


def test_a_source_that_is_changed_while_it_is_copied_does_not_get_past_its_signature(
    store: ModelStore, made: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def swapped(
        source: Path, target: Path, beat: Beat, writing: AbstractContextManager[None]
    ) -> None:
        copy(source, target, beat, writing)
        if target.name == "bundle.json":
            target.write_text(
                json.dumps(json.loads(target.read_text()) | {"intended_use": "another"})
            )

    monkeypatch.setattr("edge.models.staging.copy", swapped)
    with pytest.raises(ModelError, match="changed after it was signed"):
        store.install(made("2.0"), proved)
    assert list(store.bundles()) == [SHIPPED]


def test_two_do_not_install_at_the_same_time(
    store: ModelStore, made: Callable[[str], Path]
) -> None:
    folder = made("2.0")
    with locked(store.root), pytest.raises(Unavailable, match="another installation is going on"):
        store.install(folder, proved)
    store.install(folder, proved)


def test_a_trial_lasts_until_it_is_ended_and_a_model_that_was_taken_back_is_no_way_back(
    store: ModelStore, made: Callable[[str], Path]
) -> None:
    two, three = (store.install(made(version), proved).bundle_id for version in ("2.0", "3.0"))
    assert store.activate(two, trial=True) == store.active() == Active(two, SHIPPED, trial=True)
    store.end_trial(store.folder(three))  # somebody was quicker: it is not that one's trial
    assert store.active().trial
    store.end_trial(store.folder(two))
    assert store.active() == Active(two, SHIPPED)
    store.activate(three, trial=True)
    assert store.take_back() == Active(two, None)
    with pytest.raises(ConfigError, match="no model served before"):
        store.rollback_target()
    store.remove(three)


def test_a_choice_of_an_earlier_release_is_read(store: ModelStore) -> None:
    store.root.mkdir(parents=True)
    (store.root / "active.json").write_text('{"current": "ab", "previous": null}')
    assert store.active() == Active("ab")
