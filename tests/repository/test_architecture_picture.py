"""The picture of the architecture names each process, and all its words can be read."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.chromium import Chromium, chromium, find_chromium
from tests.support.rig import until
from tests.support.tools import ROOT

PICTURE: Final = ROOT / "docs/pictures/architecture.svg"
TEXTS: Final = "[...document.querySelectorAll('text')]"
CUT: Final = f"""{TEXTS}.filter(text => {{
  const [at, ...rest] = [text, ...document.querySelectorAll('rect')].map(one => one.getBBox());
  const around = rest.filter(one => one.x <= at.x && at.x <= one.x + one.width
    && one.y <= at.y && at.y <= one.y + one.height);
  return around.some(one => at.x + at.width > one.x + one.width
    || at.y + at.height > one.y + one.height);
}}).map(text => text.textContent)"""
"""Texts that go beyond one of the boxes in which they begin; the picture itself is one."""


@pytest.fixture
def shown(tmp_path: Path) -> Iterator[Chromium]:
    """A browser that shows the picture."""
    with chromium(find_chromium(), tmp_path / "profile") as browser:
        browser.open(PICTURE.as_uri())
        until(lambda: browser.find(f"{TEXTS}.length"), "the picture")
        yield browser


def test_the_picture_has_each_process_and_all_that_it_speaks_to(shown: Chromium) -> None:
    texts = "\n".join(shown.find(f"{TEXTS}.map(text => text.textContent)"))
    for one in ("supervisor", "worker", "DICOM receiver", "DICOM sender", "page", "PACS"):
        assert one in texts


def test_no_words_of_the_picture_are_cut(shown: Chromium) -> None:
    assert shown.find(CUT) == []
