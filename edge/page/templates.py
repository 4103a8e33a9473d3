"""The HTML of the page: every value in it is escaped; a field that a result lacks is empty."""

import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Final

from jinja2 import ChainableUndefined, Environment, FileSystemLoader
from starlette.responses import HTMLResponse

from edge import NOTICE
from edge.cli.status import span
from edge.page import words

CODE: Final = re.compile(r"`([^`]*)`")


class Templates:
    """
    Renders the pages.

    Args:
        always: values that every page has.
    """

    def __init__(self, always: Mapping[str, Any]) -> None:
        here = str(files("edge.page") / "templates")
        self._made = Environment(
            loader=FileSystemLoader(here),
            autoescape=True,
            undefined=ChainableUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._made.globals.update(always, notice=NOTICE)
        self._made.filters.update(
            moment=words.moment,
            clock=words.clock,
            score=words.score,
            rate=words.rate,
            span=span,
            flag=words.flag,
            spoken=spoken,
        )

    def page(self, template: str, status: int = 200, /, **values: object) -> HTMLResponse:
        """Render a page."""
        return HTMLResponse(self._made.get_template(template).render(values), status)


def spoken(text: str) -> list[tuple[str, bool]]:
    """Split a sentence of advice at its backquotes: texts, and if each is a command."""
    return [(part, bool(at % 2)) for at, part in enumerate(CODE.split(text)) if part]
