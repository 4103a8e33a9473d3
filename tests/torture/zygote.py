"""
Start daemons by fork: everything is imported once, so that a thousand kills take minutes.

`python -m tests.torture.zygote` reads one JSON request a line and answers with one JSON line.
"""

import ctypes
import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

from tests.torture import wall_clock

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Serve until standard input ends."""
    wall_clock.install()
    # After the clock is in place, and not in workers, which import this module.
    import edge.cli.run  # noqa: F401, PLC0415
    import tests.torture.patches  # noqa: F401, PLC0415

    for line in sys.stdin:
        request = json.loads(line)
        answer = _poll(request["poll"]) if "poll" in request else _start(request)
        print(json.dumps(answer), flush=True)  # noqa: T201 - this is the protocol


def _poll(pid: int) -> int | None:
    """Give the exit status as subprocess does; None while the process runs."""
    found, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


def _start(request: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        code = _be_daemon(request)
    except BaseException:  # noqa: BLE001 - nobody above us may see it
        traceback.print_exc()
    finally:
        os._exit(code)


def _be_daemon(request: dict[str, Any]) -> int:
    from edge.cli import main as cli  # noqa: PLC0415
    from tests.torture.patches import apply  # noqa: PLC0415

    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(os.open(Path(request["log"]), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666), 2)
    for name in [name for name in os.environ if name.startswith("MAMMO_EDGE_")]:
        del os.environ[name]
    apply(request)
    return cli.main(["run", "--config", request["config"]])


if __name__ == "__main__":
    main()
