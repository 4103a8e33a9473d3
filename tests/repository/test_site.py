"""The documents as a web site: links are good, and no page asks another machine for anything."""

import re
import subprocess
import sys
from pathlib import Path

from tests.support.tools import ROOT

CONFIG = ROOT / "deploy/site/mkdocs.yml"
FETCHED = re.compile(
    r"""<(?:script|img|iframe|source|link)[^>]*\b(?:src|href)="?((?:https?:)?//[^" >]*)"""
)
"""What a browser fetches by itself to show a page; sitemap and canonical links are not."""
STYLED = re.compile(r"""(?:@import\s*|url\()["']?((?:https?:)?//[^"')]*)""")


def test_the_site_is_built_without_a_warning_and_fetches_nothing_from_outside(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--config-file", str(CONFIG)]
    done = subprocess.run(
        [*command, "--site-dir", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    pages, styles = list(tmp_path.rglob("*.html")), list(tmp_path.rglob("*.css"))
    assert len(pages) > 30
    assert styles
    assert [FETCHED.findall(page.read_text()) for page in pages] == [[]] * len(pages)
    assert [STYLED.findall(style.read_text()) for style in styles] == [[]] * len(styles)
