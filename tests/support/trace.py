"""Read the system calls that strace wrote down, in the order that matters."""

import re
from pathlib import Path


class Trace:
    """
    System calls in order: a sync counts from its end, a message or a write from its beginning.
    """

    def __init__(self, file: Path) -> None:
        self.calls: list[str] = []
        self.threads: list[str] = []
        """The thread of each call."""
        begun: dict[str, str] = {}
        for line in file.read_text(errors="replace").splitlines():
            thread, _, rest = line.partition(" ")
            call = rest.strip()
            if call.endswith("<unfinished ...>") and "sync(" in call:
                begun[thread] = call
            elif not call.startswith("<... "):
                self._add(thread, call)
            elif thread in begun:
                self._add(thread, begun.pop(thread))

    def _add(self, thread: str, call: str) -> None:
        self.threads.append(thread)
        self.calls.append(call)

    def first(self, pattern: str, after: int = -1, thread: str | None = None) -> int:
        """Find the first call of a kind after another one, made by one thread or by any."""
        later = (
            place
            for place in range(after + 1, len(self.calls))
            if thread in {None, self.threads[place]}
        )
        found = next((place for place in later if re.search(pattern, self.calls[place])), None)
        assert found is not None, (
            f"no call like {pattern} after {self.calls[after] if after >= 0 else 'the start'}"
        )
        return found

    def in_order(self, *patterns: str, after: int = -1) -> int:
        """Find the last of these calls, each after the one before."""
        for pattern in patterns:
            after = self.first(pattern, after)
        return after

    def none_between(self, pattern: str, first: int, last: int) -> bool:
        return not any(re.search(pattern, call) for call in self.calls[first + 1 : last])
