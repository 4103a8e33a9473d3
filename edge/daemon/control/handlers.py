"""The commands `replay`, `retry` and `reload`, over the control socket and over MQTT."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from edge.config.settings import Settings
from edge.contract.messages import REPLAY_AT_ONCE
from edge.daemon.pipeline.examination import Parts
from edge.errors import ConfigError
from edge.storage.ledger.exam_sinks import EXAM
from edge.storage.ledger.queries import parse_since
from edge.storage.presence import is_there
from edge.system.files import is_seen

RELOADED: Final[Mapping[str, tuple[str, ...]]] = {
    "model": (
        "keys",
        "allow_unsigned",
        "trial_images",
        "install_from",
        "max_fetch_mb",
        "fetch_s",
        "shadow",
    ),
    "worker": ("max_file_mb",),
    "log": (),
    "dicom": (),
}
"""Sections that a reload takes, except these keys."""


LEAST_DIGITS: Final = 3
"""Digits of an id that a person must give: fewer fit by accident."""


class Commands:
    """Handlers of `replay` and `retry`: a request's fields in, the answer's fields out."""

    def __init__(
        self,
        settings: Settings,
        parts: Parts,
        wake_couriers: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._ledger = parts.ledger
        self._spool = parts.spool
        self._tasks = parts.tasks
        self._wake_couriers = wake_couriers

    def replay(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """
        Put results into the outbox of MQTT again, for a subscriber that was away.

        Args:
            request: `since`, a number or a time, `limit`, the most results to send, and `topic`,
                `result` or `exam`.

        Raises:
            ConfigError: a field is wrong, or nothing is published over MQTT.
        """
        limit = request.get("limit", REPLAY_AT_ONCE)
        if not isinstance(limit, int) or not 1 <= limit <= REPLAY_AT_ONCE:
            msg = f"limit: found {limit!r}, expected 1 to {REPLAY_AT_ONCE}"
            raise ConfigError(msg)
        if not self._settings.publish.mqtt:
            msg = "publish.mqtt is off: there is nobody to replay to"
            raise ConfigError(msg)
        try:
            after, since = parse_since(request.get("since", ""))
        except ValueError as error:
            raise ConfigError(str(error)) from None
        match request.get("topic", "result"):
            case "result":
                count, last = self._ledger.outbox.replay("mqtt", after, since, limit)
            case "exam" if EXAM in self._settings.exam_sinks:
                count, last = self._ledger.exam_outbox.replay(after, since, limit)
            case other:
                msg = f"topic: found {other!r}, expected result, or exam where exams are published"
                raise ConfigError(msg)
        self._wake_couriers()
        return {"results": count, "last_seq": last}

    def retry(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """
        Examine images again.

        Args:
            request: `images`, ids or beginnings of ids; or, for rejected images whose files are
                there, `all`, or `reason` (its beginning), `since` (a time) or both.

        Raises:
            ConfigError: a field is wrong, an image is not known, or its file is gone.
            Unavailable: the folder of an image's file is away, or does not let us look.
        """
        if any(key in request for key in ("all", "reason", "since")):
            wanted = self._rejected(request)
            image_ids = [one for one in wanted if self._file_of(one)]
            self._demand_folders([] if image_ids else wanted)  # none is, since it is away?
        else:
            names = [str(name) for name in request.get("images", [])]
            image_ids = resolve_images(names, self._ledger.queries.image_ids)
        gone = [image_id for image_id in image_ids if not self._file_of(image_id)]
        if gone:
            self._demand_folders(gone)
            msg = f"{', '.join(gone)}: the file is no longer in done or failed"
            raise ConfigError(msg)
        self._tasks.call(lambda: self._ledger.submissions.retry(image_ids)).result()
        self._tasks.wake()
        return {"images": image_ids}

    def _rejected(self, request: Mapping[str, Any]) -> list[str]:
        try:
            _, since = parse_since(request["since"]) if "since" in request else (0, 0.0)
        except ValueError as error:
            raise ConfigError(str(error)) from None
        return self._ledger.queries.rejected(since, str(request.get("reason", "")))

    def _file_of(self, image_id: str) -> bool:
        image = self._ledger.images.find(image_id)
        return image is not None and is_seen(image.path)

    def _demand_folders(self, image_ids: list[str]) -> None:
        """Refuse to call files gone that nobody can look for, unless retention removed them."""
        kept = filter(self._ledger.pruning.has_file, image_ids)
        paths = [image.path for image in map(self._ledger.images.find, kept) if image is not None]
        for folder in {path.parent for path in paths}:
            self._spool.demand_folder(folder)
        for path in paths:
            is_there(path)  # fails if its folder, or the disk, does not let us look


def resolve_images(names: list[str], find: Callable[[str], list[str]]) -> list[str]:
    """
    Return the ids of the images that a person means.

    Args:
        names: image ids, result ids, or beginnings of them.
        find: returns the ids of all images that fit a name.

    Raises:
        ConfigError: a name fits no image, or several.
    """
    resolved = []
    for name in names:
        if len(name) < LEAST_DIGITS:
            msg = f"{name}: {len(name)} digits of an id, expected {LEAST_DIGITS} or more"
            raise ConfigError(msg)
        found = find(name)
        if len(found) != 1:
            msg = (
                f"{name}: "
                f"{'no image' if not found else f'{len(found)} images'} "
                "of that id, expected one"
            )
            raise ConfigError(msg)
        resolved += found
    return resolved


def changes(running: Settings, read: Settings) -> tuple[list[str], list[str]]:
    """
    Compare two configurations.

    Args:
        running: the one with which the daemon was started.
        read: the new one.

    Returns:
        The sections that differ, and those, or keys of them, that wait for a restart.
    """
    changed = [
        name for name in Settings.model_fields if getattr(read, name) != getattr(running, name)
    ]
    needs_restart = [name for name in changed if name not in RELOADED]
    for section, keys in RELOADED.items():
        before, now = getattr(running, section), getattr(read, section)
        needs_restart += [
            f"{section}.{key}" for key in keys if getattr(now, key) != getattr(before, key)
        ]
    return changed, needs_restart
