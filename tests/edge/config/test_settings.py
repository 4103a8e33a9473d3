"""Configuration: what is wrong is named, what is secret is not shown."""

import os
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest

from edge.cli import check
from edge.cli.check import findings
from edge.config import example
from edge.config.credentials import read_secret
from edge.config.load import load, read_environment
from edge.config.paths import credential_of
from edge.config.settings import PREFIX, Broker, Settings, Tls
from edge.daemon.app import _clean_environment
from edge.daemon.wiring.state import sender_of
from edge.errors import ConfigError
from edge.mqtt.tls import tls_context
from tests.support.tools import ROOT

SECRET: Final = "geheim-4711"  # noqa: S105 - a test's
EXAMPLE: Final = ROOT / "deploy" / "edge.toml"
Written: TypeAlias = Callable[[str], Path]


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith(PREFIX) or name == "CREDENTIALS_DIRECTORY":
            monkeypatch.delenv(name)


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """Writes a configuration file and says where it is."""

    def write(text: str) -> Path:
        file = tmp_path / "edge.toml"
        file.write_text(text)
        return file

    return write


def refusal(file: Path) -> str:
    """The one line with which a configuration is refused."""
    with pytest.raises(ConfigError) as refused:
        load(file)
    text = str(refused.value)
    assert len(text.splitlines()) == 1
    return text


def test_no_file_and_no_variable_is_the_default(written: Written) -> None:
    assert load(written("")) == Settings()
    assert (Settings().device.site, Settings().device.name) == ("site", "edge-1")


def test_a_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.toml") == f"{tmp_path}/none.toml: No such file or directory"


def test_an_unknown_section_is_refused_and_named(written: Written) -> None:
    file = written("[brocker]\nhost = 'x'\n")
    assert refusal(file).startswith(f"{file}: [brocker]: unknown, expected one of device, inbox,")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[broker]\nhots = 'x'", "broker.hots: unknown key, expected one of host, port,"),
        ("[broker.tls]\nca_file = 'x'", "broker.tls.ca_file: unknown key"),
    ],
)
def test_an_unknown_key_is_refused_and_named(written: Written, text: str, named: str) -> None:
    file = written(text)
    assert refusal(file).startswith(f"{file}: {named}")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[broker]\nport = 0", "broker.port: Input should be greater than or equal to 1"),
        ("[device]\nsite = 'St. Mary/1'", "device.site: String should match pattern"),
        ("[inbox]\npoll = 'sometimes'", "inbox.poll: Input should be 'auto', 'always' or 'never'"),
        ("[broker.tls]\ncert = '/x'", "broker.tls: cert and key belong together"),
        ("broker = 3", "broker: Input should be a valid dictionary"),
    ],
)
def test_a_wrong_value_is_refused_and_its_key_named(
    written: Written, text: str, named: str
) -> None:
    file = written(text)
    assert refusal(file).startswith(f"{file}: {named}")


@pytest.mark.parametrize("data", [b"[broker\nhost = 1", b"host = ", b"\xff\xfe"])
def test_what_is_no_toml_is_refused_and_the_file_named(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "edge.toml"
    file.write_bytes(data)
    assert refusal(file).startswith(f"{file}: not TOML: ")


def test_a_variable_goes_before_the_file_key_by_key(
    written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAMMO_EDGE_BROKER__HOST", "broker.lan")
    monkeypatch.setenv("MAMMO_EDGE_BROKER__TLS__ENABLED", "true")
    found = load(written("[broker]\nhost = 'other'\nport = 8883\n")).broker
    assert (found.host, found.port, found.tls.enabled) == ("broker.lan", 8883, True)


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("MAMMO_EDGE_BROCKER__HOST", "unknown variable, expected MAMMO_EDGE_SECTION__KEY"),
        ("mammo_edge_brocker__host", "unknown variable"),
        ("MAMMO_EDGE_BROKER__HOTS", "unknown key, expected one of host, port,"),
        ("MAMMO_EDGE_BROKER__TLS__FILE", "unknown key, expected one of enabled, ca, cert, key"),
        ("MAMMO_EDGE_BROKER__PORT", "Input should be a valid integer"),
        ("MAMMO_EDGE_BROKER", "a section, expected MAMMO_EDGE_BROKER__KEY with one of host, port,"),
        (
            "MAMMO_EDGE_BROKER__TLS",
            "a section, expected MAMMO_EDGE_BROKER__TLS__KEY with one of enabled,",
        ),
    ],
)
def test_a_wrong_variable_is_refused_and_named_without_its_value(
    written: Written, monkeypatch: pytest.MonkeyPatch, variable: str, said: str
) -> None:
    monkeypatch.setenv(variable, SECRET)
    text = refusal(written(""))
    assert text.startswith(f"{variable}: {said}")
    assert SECRET not in text


def test_a_secret_stands_in_no_repr_and_no_text(written: Written) -> None:
    settings = load(written(f"[broker]\npassword = '{SECRET}'\n"))
    assert SECRET not in (
        f"{settings!r} {settings} {settings.broker!r} "
        f"{settings.model_dump()} {settings.model_dump_json()}"
    )
    assert read_secret(settings.broker) == SECRET


@pytest.mark.parametrize(
    "text",
    [
        f"[broker]\npassword = ['{SECRET}']",
        f"[broker.password]\nx = '{SECRET}'",
        f"[broker]\npassword = '{SECRET}",
    ],
)
def test_a_secret_stands_in_no_refusal(written: Written, text: str) -> None:
    assert SECRET not in refusal(written(text))


def test_the_password_may_come_from_a_variable(
    written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAMMO_EDGE_BROKER__PASSWORD", SECRET)
    assert read_secret(load(written("")).broker) == SECRET


def test_the_password_may_come_from_the_first_line_of_a_file(
    written: Written, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text(f"{SECRET}\nnot this\n")
    assert (
        read_secret(load(written(f"[broker]\npassword_file = '{tmp_path}/password'\n")).broker)
        == SECRET
    )


def test_the_password_may_come_from_a_systemd_credential(written: Written, tmp_path: Path) -> None:
    (tmp_path / "mqtt-password").write_text(SECRET)
    broker = load(written("")).broker
    assert read_secret(broker, {"CREDENTIALS_DIRECTORY": str(tmp_path)}) == SECRET
    assert read_secret(broker, {}) is None


def test_a_password_file_goes_before_the_credential_and_a_password_before_both(
    written: Written, tmp_path: Path
) -> None:
    (tmp_path / "mqtt-password").write_text("credential")
    (tmp_path / "password").write_text("file")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    section = f"[broker]\npassword_file = '{tmp_path}/password'\n"
    assert read_secret(load(written(section)).broker, environ) == "file"
    assert read_secret(load(written(f"{section}password = 'key'\n")).broker, environ) == "key"


def test_a_password_file_that_cannot_be_read_is_named(written: Written, tmp_path: Path) -> None:
    broker = load(written(f"[broker]\npassword_file = '{tmp_path}/none'\n")).broker
    with pytest.raises(ConfigError, match=rf"broker\.password_file: {tmp_path}/none: No such file"):
        read_secret(broker)


def test_the_environment_is_read_once_and_cleaned_for_the_workers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in (
        "MAMMO_EDGE_BROKER__PASSWORD",
        "mammo_edge_broker__username",
        "CREDENTIALS_DIRECTORY",
    ):
        monkeypatch.setenv(name, SECRET)
    overrides = read_environment()
    _clean_environment()
    assert SECRET not in os.environ.values()
    broker = load(overrides=overrides, path=Path("/dev/null")).broker
    assert (read_secret(broker), broker.username) == (SECRET, SECRET)


@pytest.mark.parametrize(
    ("key", "said"), [(None, "No such file"), (b"too short \n", "9 bytes, expected 16 or more")]
)
def test_a_subject_key_that_is_none_is_refused_and_its_file_named(
    written: Written, tmp_path: Path, key: bytes | None, said: str
) -> None:
    file = tmp_path / "subject.key"
    if key is not None:
        file.write_bytes(key)
    settings = load(written(f"[publish]\nsubject_key_file = '{file}'\n"))
    with pytest.raises(ConfigError, match=rf"publish\.subject_key_file: {file}: {said}"):
        sender_of(settings)


def test_a_subject_key_is_the_file_without_white_space_around_it(
    written: Written, tmp_path: Path
) -> None:
    (tmp_path / "subject.key").write_bytes(b"0123456789abcdef\n")
    settings = load(written(f"[publish]\nsubject_key_file = '{tmp_path}/subject.key'\n"))
    assert sender_of(settings).subject_key == b"0123456789abcdef"
    assert sender_of(Settings()).subject_key is None


def test_a_certificate_that_cannot_be_read_is_a_configuration_error(
    written: Written, tmp_path: Path
) -> None:
    settings = load(written(f"[broker.tls]\nenabled = true\nca = '{tmp_path}/none.pem'\n"))
    with pytest.raises(ConfigError, match=r"broker\.tls: "):
        tls_context(settings.broker)
    assert any(what == "broker.tls" and not right for what, right, _ in findings(settings))


def test_deploy_edge_toml_is_what_the_code_makes() -> None:
    assert EXAMPLE.read_text() == example.render()


def test_deploy_edge_toml_loads_as_it_is_and_with_every_default_uncommented(
    written: Written,
) -> None:
    assert load(EXAMPLE) == Settings()
    uncommented = re.sub(r"^# ([a-z_]+ = \S)", r"\1", EXAMPLE.read_text(), flags=re.MULTILINE)
    assert _keys(tomllib.loads(uncommented)) == _keys(Settings().model_dump(exclude_none=True))
    assert load(written(uncommented)) == Settings()


def test_the_example_has_the_line_of_every_key() -> None:
    lines = EXAMPLE.read_text().splitlines()
    sections = {name: default for name, default in Settings() if name != "broker"}
    sections |= {"broker": Broker(), "broker.tls": Tls()}
    keys = [(name, key) for name, section in sections.items() for key in type(section).model_fields]
    keys.remove(("broker", "tls"))
    assert len(keys) > 50
    assert [key for key in keys if example.commented(*key) not in lines] == []


def _keys(tree: Any) -> Any:  # noqa: ANN401 - a tree of dicts
    return {name: _keys(below) for name, below in tree.items()} if isinstance(tree, dict) else None


@pytest.mark.parametrize(
    ("readable", "said"), [(True, "found"), (False, "for root and the service alone")]
)
def test_a_check_says_of_the_password_that_setup_wrote_what_it_can_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, readable: bool, said: str
) -> None:
    stored = credential_of(tmp_path / "left.toml")
    assert stored == tmp_path / "left.password"
    stored.write_text("geheim\n")
    monkeypatch.setattr("edge.config.credentials.os.access", lambda *_: readable)
    assert said in check._password(Settings(), stored)
