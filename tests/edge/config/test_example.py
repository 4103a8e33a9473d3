"""`deploy/edge.toml` is made from the settings, and loads."""

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeAlias

from edge.config import example
from edge.config.load import load
from edge.config.settings import Broker, Settings, Tls
from tests.support.tools import ROOT

EXAMPLE: Final = ROOT / "deploy" / "edge.toml"


Written: TypeAlias = Callable[[str], Path]


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
