"""The way in which pynetdicom sends files."""

import pytest
from pynetdicom import _config


@pytest.fixture
def as_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have pynetdicom send files without decoding them."""
    monkeypatch.setattr(_config, "STORE_SEND_CHUNKED_DATASET", True)
