"""A key that needs a password is an error that says so, and nobody is asked for it."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.certificates import make_certificates
from tests.support.tools import need

CODE = """
import sys
from pathlib import Path
from edge.config.dicom import Dicom
from edge.config.network import Broker, Tls
from edge.dicom.receive.tls import server_context
from edge.errors import ConfigError
from edge.mqtt.tls import tls_context
ca, cert, key = map(Path, sys.argv[1:])
for make in (
    lambda: server_context(Dicom(ca=ca, cert=cert, key=key)),
    lambda: tls_context(Broker(tls=Tls(enabled=True, ca=ca, cert=cert, key=key))),
):
    try:
        make()
    except ConfigError as error:
        print(error)
"""


def test_an_encrypted_key_is_refused_and_no_terminal_is_asked(tmp_path: Path) -> None:
    make_certificates(tmp_path, "ca", "Ours")
    make_certificates(tmp_path, "broker", "127.0.0.1")
    files = [tmp_path / name for name in ("ca.crt", "broker.crt", "locked.key")]
    openssl = [need("openssl", "openssl"), "pkey", "-in", str(tmp_path / "broker.key"), "-aes256"]
    subprocess.run([*openssl, "-passout", "pass:x", "-out", str(files[2])], check=True)
    terminal, other = os.openpty()
    done = subprocess.run(
        [sys.executable, "-c", CODE, *files],
        stdin=other,
        capture_output=True,
        text=True,
        check=True,
    )
    os.close(terminal)
    os.close(other)
    lines = done.stdout.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["dicom.cert", "broker.tls.cert"]
    assert all("the key is encrypted, expected one without a password" in line for line in lines)
    assert done.stderr == ""
