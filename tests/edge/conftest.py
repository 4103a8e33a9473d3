"""A store of models and signed bundles to put into it."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from edge.models.active import shipped_bundle
from edge.models.store import ModelStore, Trust
from tests.support.bundles import signed_copy
from tests.support.keys import key_pair


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    """An empty store that trusts the key `clinic.pem`."""
    key_pair(tmp_path, "clinic")
    return ModelStore(
        tmp_path / "state/models", shipped_bundle(), Trust(tmp_path / "keys", allow_unsigned=False)
    )


@pytest.fixture
def made(tmp_path: Path) -> Callable[[str], Path]:
    """A function that copies the shipped bundle under a version, signed by `clinic.pem`."""
    return partial(signed_copy, tmp_path, key=tmp_path / "clinic.pem")
