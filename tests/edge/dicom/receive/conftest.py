"""The way in which pynetdicom sends files."""

from collections.abc import Iterator

import pytest

from tests.support import receiver


@pytest.fixture
def as_it_stands() -> Iterator[None]:
    """Have pynetdicom send files without decoding them."""
    with receiver.as_it_stands():
        yield
