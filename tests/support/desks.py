"""A desk: the intake of an inbox whose turns a test makes, and whose clock it moves."""

from dataclasses import dataclass, field
from pathlib import Path

from edge.daemon.intake import CLOSED
from edge.daemon.intake.folder import Counts, FolderIntake
from edge.health import Cause, Health

QUIET_S = 200.0  # of a clock that the test moves: a busy machine takes seconds of it by itself


@dataclass
class Taker:
    """A receiver that takes files away, unless it has been told to fail at their names."""

    taken: dict[str, bool] = field(default_factory=dict)
    """Files by name, and true for those that were seen to be closed."""
    fails: dict[str, Exception] = field(default_factory=dict)
    full: bool = False
    keeps: float = 0.0
    """Quiet times for which a file stays, as a copied one does."""
    listings: list[bool] = field(default_factory=list)
    """After each listing: true if no file was to be taken."""

    def has_room(self) -> bool:
        return not self.full

    def finish_taking(self) -> None:
        return

    def forget_gone(self, *, idle: bool) -> None:
        self.listings.append(idle)

    def take_file(self, path: Path, *, quiet: float) -> bool:
        if path.name in self.fails:
            raise self.fails[path.name]
        self.taken[path.name] = quiet == CLOSED
        if quiet >= self.keeps:
            path.unlink()
        return quiet >= self.keeps


@dataclass
class Desk:
    """An intake whose turns the test makes, and whose clock it moves."""

    inbox: Path
    taker: Taker
    intake: FolderIntake
    health: Health
    ahead_s: float = 0.0

    def turn(self, after_s: float = 0.0) -> dict[str, bool]:
        """Let time pass, look, and look once more at what the events said."""
        self.ahead_s += after_s
        for _ in range(2):
            self.intake.turn()
        return self.taker.taken

    @property
    def counts(self) -> Counts:
        return self.intake.counts()

    @property
    def causes(self) -> set[Cause]:
        return {cause for _, cause in self.health.reasons_and_causes()}
