"""The threat table names tests that there are."""

import re

from tests.support.tools import ROOT


def test_every_threat_names_tests_and_each_of_them_exists() -> None:
    table = (
        (ROOT / "docs/quality/security.md")
        .read_text()
        .partition("|---|---|---|---|\n")[2]
        .partition("\n\n")[0]
        .splitlines()
    )
    assert len(table) > 10
    for row in table:
        shown = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", row.split(" | ")[-1])
        assert shown, row
        missing = [test for file, test in shown if f"def {test}(" not in (ROOT / file).read_text()]
        assert missing == [], row
