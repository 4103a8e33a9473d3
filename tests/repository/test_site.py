"""The documents as a web site: links are good, and no page asks another machine for anything."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.tools import ROOT

CONFIG = ROOT / "deploy/site/mkdocs.yml"
FETCHED = re.compile(
    r"""<(?:script|img|iframe|source|link)[^>]*\b(?:src|href)="?((?:https?:)?//[^" >]*)"""
)
"""What a browser fetches by itself to show a page; sitemap and canonical links are not."""
STYLED = re.compile(r"""(?:@import\s*|url\()["']?((?:https?:)?//[^"')]*)""")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built site; a warning fails it."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--config-file", str(CONFIG)]
    done = subprocess.run(
        [*command, "--site-dir", str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_the_site_is_built_without_a_warning_and_fetches_nothing_from_outside(site: Path) -> None:
    pages, styles = list(site.rglob("*.html")), list(site.rglob("*.css"))
    assert len(pages) > 30
    assert styles
    assert [FETCHED.findall(page.read_text()) for page in pages] == [[]] * len(pages)
    assert [STYLED.findall(style.read_text()) for style in styles] == [[]] * len(styles)


def test_the_box_of_the_model_card_is_red_on_the_site_too(site: Path) -> None:
    card = (site / "quality/model-card.html").read_text()
    box = card[card.index('<div class="admonition caution">') :].partition("</div>")[0]
    assert "not shown to be better than chance" in box
    assert "../site.css" in card
    assert ".caution { border-color: #b02a37 }" in (site / "site.css").read_text()
