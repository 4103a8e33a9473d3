"""A model in service."""

from dataclasses import dataclass

from edge.daemon.workers.pool import Workers
from edge.models.bundle import Bundle


@dataclass(frozen=True, slots=True)
class Serving:
    """A bundle and the workers that have proved it."""

    bundle: Bundle
    workers: Workers
