"""A clinic's broker with mutual TLS, and an archive that keeps what comes over it."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Self

from deploy.demo.brokers import find_mosquitto
from tests.support.tools import ROOT
from tests.system.machine import BROKER, run, until

CERTIFICATES: Final = (
    ("ca", "Clinic"),
    ("broker", "broker.test", BROKER),
    ("device", "north/edge-1"),
    ("device", "north/edge-2"),
    ("person", "archive"),
    ("person", "monitor"),
    ("person", "admin"),
    ("person", "ws-3"),
)
DEVICES: Final = "mammo/v1/+/+"
DEVICE_TOPICS: Final = "mammo/v1/north/edge-1"
ANSWERS: Final = "mammo/v1/north/ws-3/replies/north/edge-1"
"""The topic at which the workstation gets answers of the device."""
HEARD: Final = {
    "results": ("archive", ("result",)),
    "exams": ("archive", ("exam",)),
    "watched": ("monitor", ("status", "health", "info")),
}
"""The files of what is heard, who listens, and to which topics of devices."""


def messages(path: Path) -> list[dict[str, Any]]:
    """List what a listener has written so far, the oldest first."""
    lines = path.read_text().splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


class Clinic:
    """
    A mosquitto with the example configuration of `deploy/`; the archive has each result and exam,
    a monitor what devices say of themselves.
    """

    def __init__(self, folder: Path, namespace: str) -> None:
        self.certificates = folder / "certificates"
        self._folder = folder
        self._inside = ["ip", "netns", "exec", namespace]
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        self._folder.mkdir()
        for words in CERTIFICATES:
            run(ROOT / "deploy/broker/tls/make-certificates", self.certificates, *words)
        self._configure_broker()
        self.start_broker()
        return self

    def __exit__(self, *_: object) -> None:
        for child in self._children.values():
            child.terminate()
            child.wait(120)

    def results(self) -> list[dict[str, Any]]:
        """List all results so far, the oldest first."""
        return self._heard("results")

    def exams(self) -> list[dict[str, Any]]:
        """List all results of exams so far, the oldest first."""
        return self._heard("exams")

    def kept(self) -> dict[str, bytes]:
        """Give what devices said, what the broker keeps of it and its log, by names of files."""
        files = (path for path in self._folder.rglob("*") if path.is_file())
        return {
            path.name: path.read_bytes() for path in files if path.suffix not in {".crt", ".key"}
        }

    def _heard(self, file: str) -> list[dict[str, Any]]:
        return messages(self._folder / file)

    def result_of(self, image_id: str, words: Callable[[], str]) -> dict[str, Any]:
        """Wait for the first result of an image."""

        def found() -> list[dict[str, Any]]:
            return [result for result in self.results() if result["image_id"] == image_id]

        until(found, f"result of {image_id[:16]}", words)
        return found()[0]

    def last_status(self) -> dict[str, Any]:
        """Give the retained status of the device."""
        once = ("-t", f"{DEVICE_TOPICS}/status", "-C", "1", "-W", "120")
        status: dict[str, Any] = json.loads(run(*self._client("mosquitto_sub", "archive"), *once))
        return status

    def listen(self, person: str, topic: str, path: Path, form: str = "%p") -> None:
        """Write what comes to a topic into a file, a line each, from now on."""
        heard = ("-t", topic, "-F", form, "-i", path.name, "-c", "-x", "3600")
        self._spawn(path.name, [*self._client("mosquitto_sub", person), *heard], path)

    def request(self, film: Path) -> None:
        """Send a film as the workstation does, which gets its answer at ANSWERS."""
        topic = ("-t", f"{DEVICE_TOPICS}/request/image")
        answer = ("-D", "publish", "response-topic", ANSWERS)
        run(*self._client("mosquitto_pub", "ws-3"), *topic, "-f", film, *answer)

    def kill_broker(self) -> None:
        """End the broker as a power cut would; without it, those who listen end."""
        self._children["broker"].kill()
        while self._children:
            self._children.popitem()[1].wait(120)

    def _client(self, program: str, name: str) -> list[str]:
        keys = self.certificates
        files = (keys / "ca.crt", keys / f"{name}.crt", keys / f"{name}.key")
        tls = zip(("--cafile", "--cert", "--key"), map(str, files), strict=True)
        to = ["-V", "5", "-h", BROKER, "-p", "8883", "-q", "1"]
        return [*self._inside, program, *to, *(word for pair in tls for word in pair)]

    def _configure_broker(self) -> None:
        deploy = ROOT / "deploy/broker/mosquitto"
        acl, database = self._folder / "acl", self._folder / "database"
        shutil.copy(deploy / "mammo-edge.acl", acl)
        acl.chmod(0o600)
        database.mkdir()
        text = (deploy / "mammo-edge-tls.conf").read_text()
        text += (deploy / "mammo-edge.conf").read_text()
        text = text.replace("/etc/mosquitto/certs", str(self.certificates)).replace(
            "/etc/mosquitto/mammo-edge.acl", str(acl)
        )
        (self._folder / "mosquitto.conf").write_text(
            f"user root\npersistence true\npersistence_location {database}/\n{text}"
        )

    def start_broker(self) -> None:
        """Start the broker, with what it has kept, and those who listen."""
        log_file = self._folder / "broker.log"
        config = ["-c", str(self._folder / "mosquitto.conf")]
        self._spawn("broker", [*self._inside, str(find_mosquitto()), *config], log_file)
        listening = [*self._inside, "ss", "-Hltn", "sport", "=", "8883"]
        until(lambda: run(*listening).strip(), "broker", log_file.read_text)
        for file, (person, names) in HEARD.items():
            topics = [word for name in names for word in ("-t", f"{DEVICES}/{name}")]
            command = [*self._client("mosquitto_sub", person), *topics]
            keeps = ["-i", file, "-c", "-x", "3600"]
            self._spawn(file, [*command, *keeps], self._folder / file)

    def _spawn(self, name: str, command: list[str], file: Path) -> None:
        with file.open("ab") as out, file.with_suffix(".log").open("ab") as log:
            self._children[name] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=log
            )
