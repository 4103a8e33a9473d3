"""The threat table names tests that there are."""

import re

from tests.conftest import ROOT


def test_every_test_that_the_threat_table_names_exists_and_every_threat_names_one() -> None:
    table = (ROOT / "docs/security.md").read_text().partition("|---|---|---|---|\n")[2].partition("\n\n")[0].splitlines()
    assert len(table) > 10
    for row in table:
        shown = re.findall(r"`([\w./*-]+)`", row.split(" | ")[-1])
        files = [name for name in shown if "/" in name]
        assert files, row
        assert all(list(ROOT.glob(name)) for name in files), row
