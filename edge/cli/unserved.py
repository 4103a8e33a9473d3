"""Results that wait for a sink that is not configured any more, and what to do about them."""

from collections.abc import Mapping

from edge.config.settings import Settings
from edge.storage.ledger.queries import open_queries


def unserved(settings: Settings) -> dict[str, int]:
    """
    Count them by sink.

    Raises:
        StartupError: there is no ledger, or it cannot be read.
    """
    with open_queries(settings.state.path) as queries:
        return queries.unserved(settings.served, settings.exam_sinks)


def about(left: Mapping[str, int]) -> str:
    """Say how many wait for whom."""
    return ", ".join(f"{count} for {sink}" for sink, count in left.items())


ADVICE = (
    "configure the sink as it was, and they are sent; else images' results for `mqtt` and `reply` "
    "wait on and keep their images, all others go by `[retention]`"
)
"""The remedy."""
