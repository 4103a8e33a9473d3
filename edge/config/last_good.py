"""
The last configuration that worked, for a start with one that is refused.

It lies in the state folder, mode 0600, without the password. It never stands in for one that may
have been tightened: if a line about keys, TLS, accounts, commands or access differs, the refused
configuration ends the start as before.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from edge.config.settings import Settings
from edge.errors import ConfigError
from edge.system import files

NAME: Final = "last-good.json"
ACCESS: Final = frozenset(
    {
        "tls",
        "enabled",
        "ca",
        "cert",
        "key",
        "keys",
        "username",
        "password",
        "password_file",
        "allow_cleartext_password",
        "allow_unsigned",
        "install_from",
        "commands",
        "feedback",
        "mqtt",
        "response_prefix",
        "subject_key_file",
        "socket",
        "address",
    }
)
"""Names of keys that say who may do what, and how that is proved."""
LINE: Final = re.compile(r'\s*(?:\[+\s*)?["\']?([\w."\'-]+)["\']?\s*(?:=|\])')

PATH: Final = re.compile(r"""([\w.]+)\s*=\s*["'](.+?)["']""")
"""A line that gives a key a text."""


class LastGood:
    """
    The file in a state folder.

    Args:
        config: the configuration file.
        overrides: values from the environment.
    """

    def __init__(self, config: Path, overrides: Mapping[str, Any]) -> None:
        self._config = config
        self._overrides = overrides

    def keep(self, settings: Settings) -> None:
        """Keep settings that worked; one that cannot be written is no reason not to work."""
        kept = {
            "settings": settings.model_dump(mode="json", exclude={"broker": {"password"}}),
            "access": self._access(),
        }
        target = settings.state.path / NAME
        try:
            with files.whole(target, 0o600) as file:
                file.write(json.dumps(kept).encode())
        except OSError:
            return

    def instead_of(self, refused: ConfigError, folder: Path | None = None) -> Settings:
        """
        Return the settings that worked last.

        Args:
            refused: says what is wrong with the present configuration.
            folder: the state folder; by default the one that the present configuration names.

        Raises:
            ConfigError: `refused`, if there are none, or the present ones may be tighter.
        """
        try:
            kept = json.loads(((folder or self._state_folder()) / NAME).read_bytes())
            if kept["access"] != self._access():
                raise refused
            return Settings(**kept["settings"])
        except (OSError, ValueError, KeyError, TypeError):
            raise refused from None

    def _access(self) -> str:
        """Return a hash of all that is said of access, in file and environment."""
        try:
            text = self._config.read_text(encoding="utf-8")
        except FileNotFoundError:
            text = ""
        said = [*_access_lines(text), json.dumps(self._overrides, default=str, sort_keys=True)]
        return hashlib.sha256("\n".join(said).encode()).hexdigest()

    def _state_folder(self) -> Path:
        if named := named_path(self._text(), "state", "path"):
            return named
        return Path(os.environ.get("STATE_DIRECTORY", "") or Settings().state.path)

    def _text(self) -> str:
        try:
            return self._config.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return ""


def named_path(text: str, section: str, key: str) -> Path | None:
    """Find the path that a configuration gives for a key, also in text that is not TOML."""
    where: list[str] = []
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            where = [line.strip("[ ").split("]")[0].strip()]
        elif (said := PATH.match(line)) and [*where, said[1]] in (
            [section, key],
            [f"{section}.{key}"],
        ):
            return Path(said[2])
    return None


def _access_lines(text: str) -> list[str]:
    """
    List the lines that say who may do what, in whichever order; also of a file that is not TOML.

    A list may go on over several lines, which all belong to it. The password is left out.
    """
    found, section, open_list = [], "", False
    for line in map(str.strip, text.splitlines()):
        if line.startswith("#") or not line:
            continue
        if open_list:
            found.append(f"{section} {line}")
            open_list = "]" not in line
            continue
        named = LINE.match(line)
        key = named[1].replace('"', "").split(".")[-1] if named else ""
        if line.startswith("["):
            section = line
        if key in ACCESS:
            said = "password" if key == "password" else line
            found.append(f"{section} {said}")
            open_list = "[" in line and "]" not in line and not line.startswith("[")
    return sorted(found)
