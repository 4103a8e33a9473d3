"""The key of subjects: absent, too short, or read without white space."""

from pathlib import Path

import pytest

from edge.config.settings import Publish, Settings
from edge.daemon.wiring.state import sender_of
from edge.errors import ConfigError


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
