"""
Results as they come, read from the ledger: who may list results may follow them.

The ledger is opened anew for each look, so that no look holds the daemon up and a ledger that takes
the place of another is noticed.
"""

import json
import os
import select
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from edge.errors import StartupError
from edge.storage.ledger.queries import open_queries

LOOK_S: Final = 0.5
"""Seconds between looks into the ledger."""


class Follower:
    """
    The results of a ledger that came after the last look.

    Args:
        state: the ledger's folder.
        after: only results with a larger sequence number; None for those from now on.
        since: only results completed at or after this Unix time.
        exams: true for results of exams, by their own numbers.

    Raises:
        StartupError: there is no ledger, or it cannot be read.
    """

    def __init__(
        self, state: Path, after: int | None, since: float, *, exams: bool = False
    ) -> None:
        self._state, self._exams = state, exams
        self._since = self._asked_since = since
        self._lost = False
        with open_queries(state) as queries:
            self._ledger = queries.ledger_id()
            newest = queries.results(limit=1, exams=exams) if after is None else ()
        self._after = after or max(map(_seq, newest), default=0)

    def new(self) -> Iterator[bytes]:
        """Yield new results in order; those of a rebuilt ledger, which has its own numbers, too."""
        try:
            with open_queries(self._state) as queries:
                self._begin_again(queries.ledger_id())
                newest = max(map(_seq, queries.results(limit=1, exams=self._exams)), default=0)
                for payload in queries.each_result(self._after, self._since, exams=self._exams):
                    self._after = _seq(payload)
                    yield payload
            # From here on a result is new by its number: the clock may be set back.
            self._after, self._since = max(self._after, newest), 0.0
        except StartupError as error:  # between two ledgers, or its disk is away
            if not self._lost:
                print(f"mammo-edge: {error}: trying again", file=sys.stderr)
            self._lost = True

    def _begin_again(self, ledger: str) -> None:
        self._lost = False
        if ledger != self._ledger:
            print("mammo-edge: another ledger began; its results follow", file=sys.stderr)
            self._ledger, self._after, self._since = ledger, 0, self._asked_since


def follow(follower: Follower, show: Callable[[bytes], None]) -> int:
    """Show results as they come, until Ctrl-C or until nobody reads; returns exit status 0."""
    try:
        while True:
            for payload in follower.new():
                show(payload)
            if _reader_gone(LOOK_S):
                return 0
    except KeyboardInterrupt:
        return 0
    except BrokenPipeError:
        # What is still in the buffer has no reader either, and would fail at the exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _reader_gone(seconds: float) -> bool:
    """Wait; true, and at once, if nobody reads the other end of the standard output any more."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)  # no event but the end
    return bool(poll.poll(seconds * 1000))


def _seq(payload: bytes) -> int:
    return int(json.loads(payload)["seq"])
