"""What people and services do with the repository goes by way of make."""

import re
import subprocess
import tomllib
from typing import Any, Final

import pytest
import yaml

from tests.support.tools import ROOT

MAKEFILE: Final = (ROOT / "Makefile").read_text()
TARGETS: Final = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
FORMS: Final = sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("[!c]*.yml"))


def load(name: str) -> Any:  # noqa: ANN401 - whatever the file holds
    return yaml.safe_load((ROOT / name).read_text())


def test_help_names_every_target_in_a_line_of_a_terminal() -> None:
    command = ["make", "--no-print-directory", "help"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    named = set(re.findall(r"^  make ([a-z-]+) ", said, re.MULTILINE))
    phony = re.search(r"^\.PHONY: ((?:.*\\\n)*.*)$", MAKEFILE, re.MULTILINE)
    assert phony
    assert named == set(phony[1].replace("\\\n", " ").split()) - {"help"}
    assert [line for line in said.splitlines() if len(line) > 100] == []


def test_every_hook_is_a_target_of_the_makefile() -> None:
    (repo,) = load(".pre-commit-config.yaml")["repos"]
    assert repo["repo"] == "local"
    entries = [hook["entry"].split() for hook in repo["hooks"]]
    assert [entry[0] for entry in entries] == ["make"] * len(entries)
    assert {entry[1] for entry in entries} == {"lint", "layers", "types", "unit"}
    assert {entry[1] for entry in entries} <= TARGETS


def test_the_workflow_runs_what_make_ci_runs() -> None:
    steps = load(".github/workflows/ci.yml")["jobs"]["everything"]["steps"]
    assert steps[-1] == {"run": ".ci/run"}
    assert re.search(r"^ci:.*\n\t\.ci/run$", MAKEFILE, re.MULTILINE)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.stem)
def test_a_form_asks_something_and_has_it_confirmed_that_no_patient_is_in_the_answer(
    form: Any,  # noqa: ANN401 - a path
) -> None:
    fields = yaml.safe_load(form.read_text())
    assert {"name", "description", "body"} <= set(fields)
    ids = [element["id"] for element in fields["body"] if element["type"] != "markdown"]
    assert len(ids) == len(set(ids)) > 2
    (privacy,) = [element for element in fields["body"] if element.get("id") == "privacy"]
    assert privacy["attributes"]["options"][0]["required"] is True


def test_editors_break_lines_where_ruff_does() -> None:
    ruff = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]
    python = (ROOT / ".editorconfig").read_text().partition("[*.py]")[2].partition("[")[0]
    assert f"max_line_length = {ruff['line-length']}" in python


def test_contributing_begins_with_three_commands_and_fits_two_screens() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    block = re.search(r"^(?:    make .*\n)+", text, re.MULTILINE)
    assert block
    assert len(block.group().splitlines()) == 3
    assert text.index(block.group()) < 300
    assert len(text.splitlines()) <= 100
    assert set(re.findall(r"`?make ([a-z-]+)", text)) <= TARGETS


def test_every_section_of_the_changelog_is_one_of_four_and_every_entry_a_line() -> None:
    """0.1.0, the first, has no sections: all of it was added."""
    text = (ROOT / "CHANGELOG.md").read_text().partition("## Unreleased")[2]
    assert set(re.findall(r"^### (.+)$", text, re.MULTILINE)) <= {
        "Added",
        "Changed",
        "Fixed",
        "Removed",
    }
    entries = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert [line for line in entries[:-1] if not line.startswith("- ")] in (
        [],
        ["The first release."],
    )


IMPATIENT: Final = re.compile(
    r"(?:timeout(?:_s)?=|\.(?:wait|join|result|acquire|settimeout|wait_for_publish)\()"
    r"[1-9]\d?(?:\.\d+)?[,)]|\.under\([^)]*\)\["
)
"""A wait of less than 100 s, or a look at a message that may not have come: see `last`."""


def test_tests_wait_as_long_as_a_busy_machine_needs_and_look_at_nothing_before_it_is_there() -> (
    None
):
    """Waiting costs nothing when it comes; less than a second is for what must not come."""
    lines = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for line in path.read_text().splitlines()
        if IMPATIENT.search(line)
    ]
    assert lines == []
