"""Messages to systemd, as in sd_notify(3)."""

import os
import socket


class Systemd:
    """The service manager that started this process; without one, messages go nowhere."""

    def __init__(self) -> None:
        # removed from the environment, so that workers do not speak to systemd
        self._address = os.environ.pop("NOTIFY_SOCKET", "")
        for name in ("WATCHDOG_USEC", "WATCHDOG_PID"):
            os.environ.pop(name, None)

    @property
    def present(self) -> bool:
        """True if a service manager started this process, and will start it again."""
        return bool(self._address)

    def notify(self, *lines: str) -> None:
        """Send `READY=1`, `STATUS=...` or `WATCHDOG=1` as one datagram."""
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
            try:
                out.sendto("\n".join(lines).encode(), address)
            except OSError:
                return  # a supervisor that is gone is no reason to stop
