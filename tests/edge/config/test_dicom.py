"""The callers of the DICOM receiver: a wrong one is refused, never read as everyone."""

from collections.abc import Callable
from pathlib import Path

import pytest

from edge.config.dicom import read_caller
from edge.config.listen import read_listen
from edge.config.load import load
from edge.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('callers = ["A"]', "callers: 'A' has no network, expected A@NETWORK, or TLS"),
        ('callers = ["@10.0.0.0/8"]', "found the AE title ''"),
        ('callers = ["SEVENTEEN_LETTERS@10.0.0.0/8"]', "expected 1 to 16 ASCII characters"),
        ('callers = [" A@10.0.0.0/8"]', "found the AE title ' A'"),
        ('callers = ["A@10.0.0.1/8"]', "has host bits set"),
        ('callers = ["A@::ffff:10.0.0.0/104"]', "expected its IPv4 network"),
        ('callers = ["A@modality.lan"]', "does not appear to be an IPv4 or IPv6 network"),
        ('listen = "11112"', "expected ADDRESS:PORT"),
        ('listen = "::1:11112"', "expected ADDRESS:PORT"),
        ('listen = "0.0.0.0:70000"', "expected ADDRESS:PORT"),
        ('aet = "A\\\\B"', "found the AE title"),
        ('ca = "/x"', "ca, cert and key belong together: found ca"),
        ("max_pdu = 1000", "greater than or equal to 4096"),
    ],
)
def test_what_is_wrong_is_refused_and_named(
    written: Callable[[str], Path], text: str, why: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        load(written(f"[dicom]\n{text}\n"))
    assert why in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_a_caller_s_title_may_hold_blanks_and_signs() -> None:
    assert read_caller("MG @ ROOM 2@fd00::/8").aet == "MG @ ROOM 2"
    assert str(read_caller("A@10.1.2.3").network) == "10.1.2.3/32"


def test_both_kinds_of_addresses_can_be_listened_on() -> None:
    assert read_listen("0.0.0.0:104") == ("0.0.0.0", 104)  # noqa: S104 - read, not bound
    assert read_listen("[::]:11112") == ("::", 11112)


def test_with_tls_a_caller_needs_no_network(written: Callable[[str], Path]) -> None:
    tls = 'ca = "/a"\ncert = "/b"\nkey = "/c"\n'
    assert load(written(f'[dicom]\ncallers = ["A"]\n{tls}')).dicom.tls
