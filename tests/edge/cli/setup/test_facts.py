"""Facts that a person sees at the end of `setup`."""

import subprocess
from pathlib import Path

import pytest

from edge.cli import main
from edge.cli.doctor.finding import Finding, Level
from edge.cli.setup import facts
from edge.config.settings import Settings
from tests.support.tools import need

UNIT = "mammo-edge.service"


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    made = tmp_path / "ca.pem"
    words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    words += ["-subj", "/CN=North Clinic", "-keyout", str(tmp_path / "key"), "-out", str(made)]
    subprocess.run([need("openssl", "openssl"), *words], check=True, capture_output=True)
    return made


def test_an_authority_is_shown_by_the_fingerprint_that_openssl_shows(
    authority: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    read = ["openssl", "x509", "-noout", "-fingerprint", "-sha256", "-in", str(authority)]
    told = subprocess.run(read, check=True, capture_output=True, text=True).stdout
    words = ("--broker", "localhost", "--ca", str(authority))
    assert main.main(["setup", "--root", str(tmp_path / "root"), *words]) == 0
    lines = capsys.readouterr().out.splitlines()
    fingerprint = told.strip().partition("=")[2]
    assert f"the broker is known by CN=North Clinic, SHA-256 {fingerprint}" in lines


def test_a_system_s_many_authorities_are_not_shown(authority: Path, tmp_path: Path) -> None:
    tls = {"enabled": True, "ca": "/many.pem"}
    settings = Settings.model_validate({"broker": {"tls": tls}})
    for count in (3, 4):
        (tmp_path / "many.pem").write_bytes(authority.read_bytes() * count)
        assert len(list(facts.facts(settings, tmp_path, UNIT))) == count % 4
    (tmp_path / "many.pem").write_text("no certificate")
    assert list(facts.facts(settings, tmp_path, UNIT)) == []


@pytest.mark.parametrize(
    ("detail", "told"),
    [("none", []), ("USB; not used", ["Coral: USB; not used"])],
)
def test_an_accelerator_is_told_of_where_one_is(
    monkeypatch: pytest.MonkeyPatch, detail: str, told: list[str]
) -> None:
    found = Finding("Coral", Level.WARNING, detail)
    monkeypatch.setattr(facts, "accelerator", lambda *_: found)
    assert list(facts.facts(Settings(), Path("/"), UNIT)) == told
