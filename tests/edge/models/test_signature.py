"""Who signed a bundle, and what is not a signature of it."""

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from edge.errors import ConfigError, ModelError
from edge.models.signature import SIGNATURE, check_signature, sign, signer
from tests.support.keys import key_pair
from tests.support.tools import need


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "bundle.json").write_text("{}")
    return folder


def test_a_signed_bundle_names_its_signer_among_several_keys(bundle: Path, tmp_path: Path) -> None:
    key_pair(tmp_path, "vendor")
    sign(bundle, key_pair(tmp_path, "clinic"))
    assert check_signature(bundle, tmp_path / "keys", allow_unsigned=False) == "clinic"


def test_one_changed_byte_of_the_manifest_breaks_the_signature(
    bundle: Path, tmp_path: Path
) -> None:
    sign(bundle, key_pair(tmp_path, "clinic"))
    (bundle / "bundle.json").write_text("[]")
    with pytest.raises(ModelError, match="was changed after it was signed"):
        signer(bundle, tmp_path / "keys")


def test_a_signer_that_is_not_known_is_refused_with_the_key_it_has_and_those_there_are(
    bundle: Path, tmp_path: Path
) -> None:
    identity = sign(bundle, key_pair(tmp_path, "stranger"))
    (tmp_path / "keys" / "stranger.pub").unlink()
    with pytest.raises(ModelError, match=f"signed by key {identity}, .* holds none"):
        check_signature(bundle, tmp_path / "keys", allow_unsigned=True)


def test_an_unsigned_bundle_passes_only_where_that_is_allowed(bundle: Path, tmp_path: Path) -> None:
    assert check_signature(bundle, tmp_path / "keys", allow_unsigned=True) is None
    with pytest.raises(ModelError, match="not signed"):
        check_signature(bundle, tmp_path / "keys", allow_unsigned=False)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "[" * 100_000,
        '{"schema": "mammo.signature/2", "key": "", "signature": ""}',
        "\xff",
    ],
    ids=range(6),
)
def test_what_is_no_signature_is_refused_not_taken_for_none(
    bundle: Path, tmp_path: Path, text: str
) -> None:
    (bundle / SIGNATURE).write_text(text, encoding="latin-1")
    with pytest.raises(ModelError, match="not a signature"):
        check_signature(bundle, tmp_path / "keys", allow_unsigned=True)


def test_a_key_of_another_kind_is_named(bundle: Path, tmp_path: Path) -> None:
    key_pair(tmp_path, "clinic")
    other = generate_private_key(SECP256R1())
    (tmp_path / "ec.pem").write_bytes(
        other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    with pytest.raises(ConfigError, match="expected an Ed25519 private key"):
        sign(bundle, tmp_path / "ec.pem")
    with pytest.raises(ConfigError, match="No such file"):
        sign(bundle, tmp_path / "nothing.pem")
    with pytest.raises(ConfigError, match="not a key in PEM"):
        sign(bundle, bundle / "bundle.json")


def test_a_key_of_a_kind_that_nobody_here_knows_is_named_too(bundle: Path, tmp_path: Path) -> None:
    made = subprocess.run(
        [need("openssl", "openssl"), "genpkey", "-algorithm", "SM2"],
        capture_output=True,
        check=True,
    )
    (tmp_path / "sm2.pem").write_bytes(made.stdout)
    with pytest.raises(ConfigError, match=r"sm2\.pem: not a key"):
        sign(bundle, tmp_path / "sm2.pem")
