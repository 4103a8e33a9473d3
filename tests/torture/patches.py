"""Change a daemon under torture in its own process, before it runs."""

import ctypes
import dataclasses
import os
from pathlib import Path
from typing import Any, Final

from edge.config.settings import Settings
from edge.daemon.wiring import info
from edge.daemon.workers import servable
from edge.daemon.workers.job import Job
from edge.errors import Unavailable
from edge.models.bundle import Bundle
from edge.storage import audit, claim, retention
from edge.storage.ledger import database
from edge.storage.ledger.submissions import Submissions
from edge.storage.retention import Retention
from edge.system import time_sync, uptime
from tests.torture import bugs, crashes, toxic, wall_clock

CLONE_NEWUSER: Final = 0x10000000
PR_CAPBSET_DROP: Final = 24
CAP_DAC_OVERRIDE: Final = 1
CAP_DAC_READ_SEARCH: Final = 2
LINUX_CAPABILITY_VERSION_3: Final = 0x20080522


def apply(request: dict[str, Any]) -> None:
    """Change this process as a request asks."""
    _change_surroundings(request)
    if request.get("prune_soon"):
        prune_soon()
    if request.get("stub", True):
        _use_stub()
    if request.get("crash"):
        crashes.arm(
            request["crash"], request.get("nth", 1), workers_too=request.get("workers_too", False)
        )
    if request.get("no_way_back"):
        no_way_back()
    if "deaths" in request:
        toxic.arm(Path(request["deaths"]))
    if request.get("bug"):  # around the crash points
        bugs.BUGS[request["bug"]]()
    if request.get("unsafe"):
        without_durability()


def _change_surroundings(request: dict[str, Any]) -> None:
    os.environ.update(request.get("environ", {}))
    if request.get("mortal"):
        obey_permissions()
    if "clock" in request:
        step_clock(Path(request["clock"]), Path(request["boot"]))
    if "inotify_limit" in request:
        limit_inotify(request["inotify_limit"])


def obey_permissions() -> None:
    """Drop the capabilities that let root pass by file modes, here and in the workers."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(LINUX_CAPABILITY_VERSION_3, 0)
    if libc.capset(header, (ctypes.c_uint32 * 6)()):
        msg = "capset"
        raise OSError(ctypes.get_errno(), msg)


def step_clock(clock: Path, boot: Path) -> None:
    """Follow the clock in a file, on a machine whose boot has the name in another."""
    wall_clock.follow(clock)
    uptime.BOOT_ID = boot  # type: ignore[misc]
    for module in (audit, info, time_sync):
        vars(module)["datetime"] = wall_clock.SteppedDatetime


def prune_soon() -> None:
    """Have retention not wait until the clock has run without a jump for an hour."""
    (Retention.__init__.__kwdefaults__ or {})["calm_s"] = 0.0
    retention.PASS_S = 5.0  # type: ignore[misc]


def no_way_back() -> None:
    """
    Have the ledger refuse the first file, and the inbox not take it back.

    Its folder was removed meanwhile, say.
    """
    accept, free = Submissions.accept, claim._free
    refused: list[bool] = []

    def refuse_once(self: Submissions, *args: Any) -> Path:  # noqa: ANN401
        if not refused:
            refused.append(True)
            msg = "ledger: database or disk is full"
            raise Unavailable(msg)
        return accept(self, *args)

    def gone_once(source: Path) -> Path:
        if len(refused) == 1:
            refused.append(True)
            raise FileNotFoundError
        return free(source)

    Submissions.accept = refuse_once  # type: ignore[method-assign, assignment]
    claim._free = gone_once


def limit_inotify(instances: int) -> None:
    """Enter a user namespace of our own with a limit of inotify instances."""
    user = os.geteuid()
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWUSER):
        return  # the scenario sees that nothing is limited
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1\n")
    Path("/proc/sys/user/max_inotify_instances").write_text(f"{instances}\n")


def _use_stub() -> None:
    job_for = servable.job_for

    def stub_job(settings: Settings, bundle: Bundle) -> Job:
        return dataclasses.replace(
            job_for(settings, bundle),
            start="tests.torture.stub.start",
            run="tests.torture.stub.run",
        )

    servable.job_for = stub_job


OFF: Final = "PRAGMA synchronous = OFF"


def without_durability() -> None:
    """
    Switch durability off for the throughput table: no fsync of any file, synchronous=OFF in the
    ledger.

    Nothing of it exists in the product.
    """
    vars(database).update(SYNCED=OFF, UNSYNCED=OFF)
    os.fsync = lambda fd: None  # noqa: ARG005
