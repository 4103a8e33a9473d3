"""An operator's own edge.toml: setup changes the keys that were answered, and nothing else."""

import tomllib
from pathlib import Path

import pytest

from edge.cli.setup.config_file import edited, tables_of
from edge.config import example

OWN = """\
# Room 4, ticket 4711: ask Dr. Ärzte before changing anything
[broker]   # moved in May
username = 'edge'
host = "old.lan" # the broker in the cellar
keepalive_s = 0x1E

[device]
site = 'north'

# Results also for the archive
[publish]
jsonl = "/srv/results.jsonl"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The operator's file."""
    file = tmp_path / "edge.toml"
    file.write_text(OWN)
    return file


def test_comments_order_and_other_values_stay_as_the_operator_wrote_them(config: Path) -> None:
    text = edited(config, {"broker": {"host": "new.lan"}, "device": {"site": "north"}})
    assert text == OWN.replace('"old.lan"', '"new.lan"')


def test_a_key_that_was_not_there_follows_the_values_of_its_table(config: Path) -> None:
    text = edited(config, {"broker": {"port": 8883}, "device": {"name": "edge-7"}})
    assert text == OWN.replace("0x1E\n", "0x1E\nport = 8883\n").replace(
        "'north'\n", "'north'\nname = \"edge-7\"\n"
    )


def test_a_table_that_was_not_there_follows_the_others(config: Path) -> None:
    text = edited(config, {"inbox": {"path": "/data"}, "broker.tls": {"enabled": True}})
    broker = OWN.replace("0x1E\n\n", "0x1E\n\n[broker.tls]\nenabled = true\n")
    assert text == f'{broker}\n[inbox]\npath = "/data"\n'


def test_in_the_example_a_value_takes_the_place_of_its_default(tmp_path: Path) -> None:
    config = tmp_path / "edge.toml"
    values = {"broker": {"host": "new.lan"}, "broker.tls": {"ca": "/ca.crt"}}
    expected = (
        example.render()
        .replace('# host = "localhost"\n', 'host = "new.lan"\n')
        .replace("# ca =\n", 'ca = "/ca.crt"\n', 1)  # [dicom] has one, too
    )
    assert edited(config, values) == expected
    config.write_text(example.render())
    assert edited(config, values) == expected


@pytest.mark.parametrize(
    "text",
    [
        'broker = {host = "a", port = 1} # short\n',
        'broker.host = "a"\nbroker.port = 1\n',
        '[broker]\nport = 1\nhost = "a"',
        '[device]\nsite = "x"\r\n[broker]\r\nhost = "a"\r\nport = 1\r\n',
        '[broker]\nport = 1\nhost = "a"\n[log]\nlevel = "info"\n[broker.tls]\nenabled = false\n',
        '[publish]\nresponse_prefix = """\n[broker]\n# host = \\"x\\"\n"""\n[broker]\nport = 1\n',
        '[publish]\nresponse_prefix = """\n[device]\n"""\n[broker]\nport = 1\n',
    ],
    ids=["inline", "dotted", "no end of line", "CRLF", "apart", "in a string", "in a string too"],
)
def test_however_a_table_is_written_the_answers_and_all_other_values_are_read_back(
    tmp_path: Path, text: str
) -> None:
    config = tmp_path / "edge.toml"
    config.write_bytes(text.encode())
    before = tables_of(config)
    after = tomllib.loads(
        edited(
            config, {"broker": {"host": "new"}, "device": {"name": "e"}, "spool": {"done": "/d"}}
        )
    )
    assert after == before | {
        "broker": before["broker"] | {"host": "new"},
        "device": before.get("device", {}) | {"name": "e"},
        "spool": {"done": "/d"},
    }
