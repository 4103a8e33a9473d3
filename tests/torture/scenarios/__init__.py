"""List all scenarios, in the order of the page."""

from typing import Final

from tests.torture.bench import Scenario
from tests.torture.scenarios import (
    brokers,
    clocks,
    disks,
    exams,
    hung,
    inboxes,
    kills,
    ledgers,
    listeners,
    memory,
    messages,
    modalities,
    mounts,
    power,
    twins,
    workers,
)

ALL: Final[tuple[Scenario, ...]] = (
    *kills.SCENARIOS,
    *exams.SCENARIOS,
    *modalities.SCENARIOS,
    *ledgers.SCENARIOS,
    *workers.SCENARIOS,
    *memory.SCENARIOS,
    *twins.SCENARIOS,
    *disks.SCENARIOS,
    *power.SCENARIOS,
    *inboxes.SCENARIOS,
    *clocks.SCENARIOS,
    *mounts.SCENARIOS,
    *hung.SCENARIOS,
    *brokers.SCENARIOS,
    *messages.SCENARIOS,
    *listeners.SCENARIOS,
)
