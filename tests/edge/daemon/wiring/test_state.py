"""The key of subjects and the spool, as the configuration has them."""

import json
from contextlib import ExitStack
from pathlib import Path

import pytest

from edge.config.settings import Publish, Settings
from edge.daemon.wiring.state import open_state, sender_of
from edge.errors import ConfigError
from edge.health import Health
from tests.support.pipeline import folders_of


@pytest.mark.parametrize(
    ("key", "said"), [(None, "No such file"), (b"too short \n", "9 bytes, expected 16 or more")]
)
def test_a_subject_key_that_is_none_is_refused_and_its_file_named(
    tmp_path: Path, key: bytes | None, said: str
) -> None:
    file = tmp_path / "subject.key"
    if key is not None:
        file.write_bytes(key)
    settings = Settings(publish=Publish(subject_key_file=file))
    with pytest.raises(ConfigError, match=rf"publish\.subject_key_file: {file}: {said}"):
        sender_of(settings)


def test_a_subject_key_is_the_file_without_white_space_around_it(
    tmp_path: Path,
) -> None:
    (tmp_path / "subject.key").write_bytes(b"0123456789abcdef\n")
    settings = Settings(publish=Publish(subject_key_file=tmp_path / "subject.key"))
    assert sender_of(settings).subject_key == b"0123456789abcdef"
    assert sender_of(Settings()).subject_key is None


def test_a_spool_hashes_files_of_sixteen_times_the_size_that_a_worker_takes(tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    settings = folders_of(tmp_path)
    worker = settings.worker.model_copy(update={"max_file_mb": 300})
    with ExitStack() as stack:
        _, spool = open_state(settings.model_copy(update={"worker": worker}), Health(), stack)
        assert spool.most_mb == 4800


def test_the_folders_of_the_archive_are_noted_before_anything_is_looked_for_there(
    tmp_path: Path,
) -> None:
    (tmp_path / "inbox").mkdir()
    with ExitStack() as stack:
        _, spool = open_state(folders_of(tmp_path), Health(), stack)
    noted = json.loads((tmp_path / "state" / "archives.json").read_bytes())
    assert noted == {str(one): one.stat().st_ino for one in (spool.done, spool.failed)}
