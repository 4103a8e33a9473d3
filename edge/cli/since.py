"""The option `--since`: a fault of its value is wrong usage."""

from edge.cli.parser import make_parser
from edge.storage.ledger.queries import parse_since


def number_or_time(text: str | None) -> tuple[int, float]:
    """Read a sequence number or a Unix time, the other 0; both 0 for None."""
    if text is None:
        return 0, 0.0
    try:
        return parse_since(text)
    except ValueError as error:
        make_parser().error(f"--{error}")


def time(text: str | None) -> float:
    """Read a Unix time; 0 for None."""
    number, since = number_or_time(text)
    if number:
        make_parser().error(f"--since: found {text}, expected a time such as 2026-01-31T08:00")
    return since
