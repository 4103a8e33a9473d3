"""
The rules for words and sizes that a program can hold; the others stand in CONTRIBUTING.md.

A docstring can be read alone. Its first word is no question word. The summary of a module, class or
function is one sentence on one line, of at most 20 words; an attribute has at most 20 words or two
sentences, except in `edge.config`, where they are the pages of `edge.toml`.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final

import pytest

from tests.support.tools import ROOT

CODE: Final = ("edge", "train", "deploy")
QUESTIONS: Final = frozenset({"what", "whether", "where", "which", "how"})
MOST_WORDS: Final = 20
MOST_COLUMNS: Final = 100
MOST_LINES: Final = 300
MOST_METHODS: Final = 15
OPERATORS_PAGE: Final = "edge/config/"
"""Attribute docstrings here become `deploy/edge.toml`, and may explain a key at length."""
FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True, slots=True)
class Docstring:
    """A docstring of a module, class, function or attribute."""

    file: str
    line: int
    text: str
    of_attribute: bool

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text.strip()[:90]!r}"


@cache
def modules() -> dict[str, ast.Module]:
    """The syntax tree of every module of the product, training and deployment."""
    files = sorted(path for top in CODE for path in (ROOT / top).rglob("*.py"))
    return {str(path.relative_to(ROOT)): ast.parse(path.read_bytes()) for path in files}


def docstrings() -> Iterator[Docstring]:
    """Every docstring of the code."""
    for file, tree in modules().items():
        for node in ast.walk(tree):
            if not isinstance(node, (ast.Module, ast.ClassDef, *FUNCTIONS)):
                continue
            for before, statement in zip([None, *node.body], node.body, strict=False):
                text = _text(statement)
                if text is None:
                    continue
                attribute = isinstance(before, ast.Assign | ast.AnnAssign)
                if before is None or attribute:
                    yield Docstring(file, statement.lineno, text, attribute)


def _text(statement: ast.stmt) -> str | None:
    value = statement.value if isinstance(statement, ast.Expr) else None
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else None


def summary(text: str) -> str:
    """The first paragraph of a docstring, which is one line if the rule holds."""
    return text.strip().partition("\n\n")[0]


def test_the_rules_are_held_against_the_code() -> None:
    assert sum(not one.of_attribute for one in docstrings()) > 100
    assert sum(one.of_attribute for one in docstrings()) > 50


def test_no_docstring_begins_with_a_question_word() -> None:
    first = {str(one): re.split(r"\W", one.text.strip(), maxsplit=1)[0] for one in docstrings()}
    assert [name for name, word in first.items() if word.lower() in QUESTIONS] == []


def test_the_summary_of_a_docstring_is_one_line_of_20_words() -> None:
    long = [
        str(one)
        for one in docstrings()
        if not one.of_attribute
        and ("\n" in summary(one.text) or len(summary(one.text).split()) > MOST_WORDS)
    ]
    assert long == []


def test_an_attribute_is_explained_in_20_words_or_two_sentences() -> None:
    long = [
        str(one)
        for one in docstrings()
        if one.of_attribute
        and not one.file.startswith(OPERATORS_PAGE)
        and len(one.text.split()) > MOST_WORDS
        and len(re.findall(r"[.:](?=\s|$)", one.text)) > 2
    ]
    assert long == []


def test_no_module_has_more_than_300_lines() -> None:
    lines = {file: len((ROOT / file).read_text().splitlines()) for file in modules()}
    assert {file: count for file, count in lines.items() if count > MOST_LINES} == {}


def test_no_class_of_the_daemon_has_more_than_15_methods() -> None:
    methods = {
        f"{file}: {node.name}": sum(isinstance(below, FUNCTIONS) for below in node.body)
        for file, tree in modules().items()
        if file.startswith("edge/")
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    assert {name: count for name, count in methods.items() if count > MOST_METHODS} == {}


@pytest.mark.parametrize(
    ("folder", "most"), [("edge", 6), ("train", 8), ("tests", 1)], ids=["edge", "train", "tests"]
)
def test_modules_lie_in_rooms_not_in_the_hall(folder: str, most: int) -> None:
    names = sorted(path.name for path in (ROOT / folder).glob("*.py"))
    assert len(names) <= most, names
