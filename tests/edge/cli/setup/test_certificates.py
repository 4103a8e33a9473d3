"""Certificates and keys lie where the daemon can read them, and keys where nobody else can."""

import stat
import tomllib
from pathlib import Path

import pytest

from edge.cli.setup.accounts import Accounts
from edge.cli.setup.apply import write
from edge.cli.setup.plan import Answers, plan
from edge.errors import ConfigError

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
PEM = CERTIFICATE + "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n"


def setup(root: Path, **said: object) -> dict[str, str]:
    """Run it; returns the table [broker.tls] of the configuration."""
    answers = Answers(broker="broker.lan", **said)  # type: ignore[arg-type]
    files, _ = plan(answers, root, lambda _: [])
    write(files, Accounts.of(root))
    return tomllib.loads(files[0].path.read_text())["broker"]["tls"]  # type: ignore[no-any-return]


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A key as `make-certificates` leaves it: for its owner alone."""
    path = tmp_path / "elsewhere.key"
    path.write_text(PEM)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize(("instance", "name"), [(None, "device.key"), ("left", "left.key")])
def test_a_key_from_elsewhere_is_installed_for_the_daemon_s_group(
    tmp_path: Path, key: Path, instance: str | None, name: str
) -> None:
    tls = setup(tmp_path / "root", key=key, cert=key, instance=instance)
    there = tmp_path / "root/etc/mammo-edge" / name
    assert tls["key"] == f"/etc/mammo-edge/{name}"
    for file in (there, there.with_suffix(".crt")):  # a certificate with its key is a key
        assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == (PEM, 0o640)


def test_an_authority_may_have_a_comment_in_any_encoding(tmp_path: Path) -> None:
    given = tmp_path / "ca.pem"
    given.write_bytes("# Főtanúsítvány\n".encode("iso8859-2") + CERTIFICATE.encode())
    setup(tmp_path / "root", ca=given)
    there = tmp_path / "root/etc/mammo-edge/ca.crt"
    assert (there.read_bytes(), stat.S_IMODE(there.stat().st_mode)) == (given.read_bytes(), 0o644)


def test_a_path_that_leads_out_of_the_folder_is_copied_and_not_changed(
    tmp_path: Path, key: Path
) -> None:
    outside = tmp_path / "etc/ssl/mine.key"
    outside.parent.mkdir(parents=True)
    outside.write_text(PEM)
    outside.chmod(0o600)
    there = Path(f"/etc/mammo-edge/../..{outside}")
    assert setup(tmp_path / "root", key=there, cert=key)["key"] == "/etc/mammo-edge/device.key"
    assert stat.S_IMODE(outside.stat().st_mode) == 0o600


@pytest.mark.parametrize(("what", "text"), [("ca", PEM[len(CERTIFICATE) :]), ("key", CERTIFICATE)])
def test_a_key_and_a_certificate_that_were_swapped_are_told(
    tmp_path: Path, key: Path, what: str, text: str
) -> None:
    given = tmp_path / "given"
    given.write_text(text)
    both = {"key": key, "cert": key, what: given}
    with pytest.raises(ConfigError, match=rf"--{what}: .* found .*, expected PEM with a line"):
        setup(tmp_path / "root", **both)


def test_a_key_that_lies_there_gets_the_right_mode(tmp_path: Path, key: Path) -> None:
    there = tmp_path / "etc/mammo-edge/mine.key"
    there.parent.mkdir(parents=True)
    key.rename(there)
    tls = setup(tmp_path, key=Path("/etc/mammo-edge/mine.key"), cert=there)
    assert tls["key"] == "/etc/mammo-edge/mine.key"
    assert stat.S_IMODE(there.stat().st_mode) == 0o640


def test_a_link_in_the_folder_stays_a_link(tmp_path: Path, key: Path) -> None:
    there = tmp_path / "etc/mammo-edge/mine.key"
    there.parent.mkdir(parents=True)
    there.symlink_to(key)
    setup(tmp_path, key=Path("/etc/mammo-edge/mine.key"), cert=key)
    assert there.is_symlink()


@pytest.mark.parametrize(
    ("content", "said"), [(None, "No such file"), (b"\x30\x82", "PEM"), (b"PEM", "PEM")]
)
def test_what_is_no_pem_is_refused_before_anything_is_written(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    given = tmp_path / "given"
    if content is not None:
        given.write_bytes(content)
    with pytest.raises(ConfigError, match=said):
        setup(tmp_path / "root", ca=given)
    assert not (tmp_path / "root").exists()
