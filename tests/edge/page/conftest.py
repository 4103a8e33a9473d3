"""A ledger, and a browser that has come in."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge.config.load import load
from edge.config.settings import Settings
from edge.page import access
from edge.page.app import make_app
from tests.support.browser import Browser
from tests.support.results import Writer


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    """A daemon's ledger."""
    made = Writer(tmp_path)
    yield made
    made.ledger.close()


@pytest.fixture
def settings(writer: Writer) -> Settings:
    """The configuration beside the ledger."""
    return load(writer.config)


@pytest.fixture
def enter(settings: Settings) -> Callable[..., Browser]:
    """A function that comes in by the token; other settings may be given."""

    def entered(changed: Settings = settings) -> Browser:
        token = access.make_token(changed.state.path)
        browser = Browser(make_app(changed))
        assert browser.post("/enter", {"secret": token}).status == 303
        return browser

    return entered
