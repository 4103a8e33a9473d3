"""A device goes on with the configuration that worked, unless the refused one may be tighter."""

import stat
from pathlib import Path

import pytest

from edge.cli.run import configuration
from edge.config.last_good import NAME
from edge.errors import ConfigError

GOOD = """
[device]
site = "north"
[state]
path = "STATE"
[broker]
host = "broker.lan"
password = "geheim"
[broker.tls]
enabled = true
[model]
keys = "/etc/keys"
[intake]
commands = [
  "reload",
  "replay",
]
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration that worked."""
    path = tmp_path / "edge.toml"
    path.write_text(GOOD.replace("STATE", str(tmp_path / "state")))
    (tmp_path / "state").mkdir()
    found = configuration(path)
    assert found.refused is None
    found.keep(found.settings)
    return path


def change(config: Path, before: str, after: str) -> None:
    text = config.read_text()
    assert before in text
    config.write_text(text.replace(before, after))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('site = "north"', 'site = "North Wing"'),
        ('site = "north"', 'site = "north'),
        ('host = "broker.lan"', "host = "),
        ("[device]", "[devize]"),
        ('host = "broker.lan"', 'hosst = "broker.lan"'),
        ('password = "geheim"', 'password = "another"\nport = 0'),
    ],
)
def test_a_refused_configuration_is_replaced_by_the_last_that_worked(
    config: Path, before: str, after: str
) -> None:
    change(config, before, after)
    found = configuration(config)
    assert found.refused
    assert str(config) in found.refused
    assert (found.settings.device.site, found.settings.broker.tls.enabled) == ("north", True)
    with pytest.raises(ConfigError):
        found.load()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('keys = "/etc/keys"', 'keys = "/etc/other"'),
        ("enabled = true", 'enabled = true\nca = "/etc/ca.pem"'),
        ("enabled = true", ""),
        ('  "replay",\n', ""),
        ('password = "geheim"', 'password = "geheim"\nusername = "edge"'),
    ],
)
def test_one_whose_access_was_changed_ends_the_start(config: Path, before: str, after: str) -> None:
    change(config, before, after)
    change(config, 'site = "north"', 'site = "North Wing"')
    with pytest.raises(ConfigError, match="site"):
        configuration(config)


def test_at_a_first_start_nothing_stands_in(tmp_path: Path) -> None:
    config = tmp_path / "edge.toml"
    config.write_text(f"[state]\npath = {str(tmp_path)!r}\n[devize]\n")
    with pytest.raises(ConfigError, match="devize"):
        configuration(config)


@pytest.mark.parametrize("kept", ["", "[]", "{}", '{"access": 1, "settings": {"x": 1}}'])
def test_a_kept_one_that_is_damaged_stands_in_for_nothing(config: Path, kept: str) -> None:
    (config.parent / "state" / NAME).write_text(kept)
    change(config, "[device]", "[devize]")
    with pytest.raises(ConfigError, match="devize"):
        configuration(config)


def test_it_is_kept_for_the_service_alone_and_without_the_password(config: Path) -> None:
    kept = config.parent / "state" / NAME
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert "geheim" not in kept.read_text()
