"""Where the page listens: beyond this machine it wants TLS, and says what is missing."""

from collections.abc import Callable
from pathlib import Path

import pytest

from edge.config.load import load
from edge.errors import ConfigError

TLS = 'cert = "/a"\nkey = "/b"\n'


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('listen = "8323"', "expected ADDRESS:PORT"),
        ('listen = "10.1.2.3:8323"', "which other machines reach: expected cert and key too"),
        ('listen = "[fd00::1]:8323"', "which other machines reach: expected cert and key too"),
        (f'listen = "0.0.0.0:8323"\n{TLS}', "all addresses: expected hosts too"),
        ('cert = "/a"', "cert and key belong together: found cert"),
        ('hosts = ["page.lan:8323"]', "String should match pattern"),
        ('hosts = ["*"]', "String should match pattern"),
    ],
)
def test_what_is_wrong_is_refused_and_named(
    written: Callable[[str], Path], text: str, why: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        load(written(f"[page]\n{text}\n"))
    assert why in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_requests_may_name_loopback_the_own_address_and_what_is_configured(
    written: Callable[[str], Path],
) -> None:
    page = load(written(f'[page]\nlisten = "10.1.2.3:1"\nhosts = ["Page.lan"]\n{TLS}')).page
    assert page.allowed == {"localhost", "127.0.0.1", "[::1]", "10.1.2.3", "page.lan"}
    assert not page.local
    everywhere = load(written(f'[page]\nlisten = "[::]:1"\nhosts = ["page.lan"]\n{TLS}')).page
    assert everywhere.allowed == {"localhost", "127.0.0.1", "[::1]", "page.lan"}


def test_the_address_that_opens_it_has_the_token_where_no_server_sees_it(
    written: Callable[[str], Path],
) -> None:
    assert load(written("")).page.url(8323, "T") == "http://127.0.0.1:8323/enter#T"
    six = load(written(f'[page]\nlisten = "[::1]:8323"\n{TLS}')).page
    assert (six.local, six.url(1, "T")) == (True, "https://[::1]:1/enter#T")
