"""The configuration that a daemon runs with, and the one to keep for its next start."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge.config.settings import Settings


@dataclass(frozen=True, slots=True)
class Configuration:
    """The settings of a start."""

    settings: Settings
    load: Callable[[], Settings]
    """Reads the configuration again, for `reload`."""
    keep: Callable[[Settings], None] = lambda _: None
    """Keeps settings that worked for a start with a configuration that is refused."""
    refused: str | None = None
    """The reason why the present configuration is refused; these are the last that worked."""
    file: Path | None = None
    """The configuration file."""
