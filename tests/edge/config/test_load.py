"""Loading: a wrong key or variable is named, and no secret is shown."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

import pytest

from edge.config.credentials import read_secret
from edge.config.load import load, read_environment
from edge.config.settings import Settings
from edge.daemon.process import _clean_environment
from edge.errors import ConfigError

SECRET: Final = "geheim-4711"  # noqa: S105 - a test's


Written: TypeAlias = Callable[[str], Path]


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
