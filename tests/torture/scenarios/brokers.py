"""
Torture by brokers that are absent, dead, frozen, slow, strict, or shared with an impostor.

Everything arrives, and status tells the truth.
"""

import shutil
import signal
import subprocess
import time
from pathlib import Path

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from deploy.demo.brokers import free_port
from edge.daemon.control.unix_socket import ask
from edge.mqtt.connection import disconnect
from tests.support.proxy import Proxy
from tests.support.rig import until
from tests.torture.bench import Bench, NotHereError, Row, scaled
from tests.torture.scenarios.disks import reasons
from tests.torture.site import Site

FILES = 12
GROWTH_MB = 40


def rss_mb(site: Site) -> float:
    """Read the resident memory of the supervisor in MB."""
    assert site.process is not None
    status = Path(f"/proc/{site.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def outage(row: Row, site: Site, told: str = "broker") -> None:
    """Send files while the broker takes no results: they are examined, kept, and status says so."""
    before = rss_mb(site)
    site.give_some(FILES)
    until(lambda: site.status()["queue"]["archived"] >= FILES, "examined meanwhile", site.words)
    until(lambda: told in reasons(site), f"status tells of {told}", site.words)
    row.expect(rss_mb(site) - before < GROWTH_MB, "memory is bounded")


def finish(row: Row, site: Site) -> None:
    """End the fault and wait for recovery."""
    site.faulted()
    recovery = site.recovered()
    row.add(site.judged(), recovery)


def absent_killed_restarted(bench: Bench, scale: float) -> Row:
    """Stop the broker before the start, kill it midway, restart it midway."""
    row = Row(
        "broker absent at start, then killed midway, then restarted midway", scaled(10, scale)
    )
    for _ in range(row.repetitions):
        with bench.site() as site:
            site.broker.stop()
            site.ready()
            outage(row, site)
            site.broker.start()
            site.recovered()
            for fault, ways in (
                (site.broker.kill, ("folder",)),
                (site.broker.stop, ("folder", "mqtt", "reply")),
            ):
                site.give_some(FILES, ways)
                fault()
                site.broker.start()
            finish(row, site)
    row.note = (
        "a mosquitto that is killed may forget a request that it acknowledged less "
        "than a second ago: no requests were on their way then"
    )
    return row


def frozen(bench: Bench, scale: float) -> Row:
    """Stop the broker by SIGSTOP for a minute."""
    seconds = max(4.0, 60 * min(1.0, scale * 2))
    row = Row(f"broker stopped by SIGSTOP for {seconds:.0f} s", scaled(2, scale))
    for _ in range(row.repetitions):
        with bench.site() as site:
            site.set_keys("broker", "ack_s = 2.0")
            site.ready()
            site.give_some(1)
            site.recovered()
            assert site.broker.process is not None
            site.broker.process.send_signal(signal.SIGSTOP)
            began = time.monotonic()
            outage(row, site)
            time.sleep(max(0.0, seconds - (time.monotonic() - began)))
            site.broker.process.send_signal(signal.SIGCONT)
            finish(row, site)
    return row


def session_lost(bench: Bench, scale: float) -> Row:
    """Let the broker forget everything; lost results are asked for again with replay."""
    row = Row(
        "broker restarted with every session and message lost; `replay` brings what it lost",
        scaled(10, scale),
    )
    for _ in range(row.repetitions):
        with bench.site() as site:
            site.ready()
            site.give_some(FILES)
            site.broker.kill()
            for file in site.broker.folder.glob("mosquitto.db*"):
                file.unlink()
            site.broker.start()
            until(
                lambda: site.status()["queue"]["archived"] == FILES and site._settled(),
                "settled",
                site.words,
            )
            until(lambda: subscribed_again(site), "the subscriber is subscribed again", site.words)
            site.replayed = len(site.results_heard())
            ask(site.folder / "control.sock", "replay", since=0)
            finish(row, site)
    return row


def subscribed_again(site: Site) -> bool:
    """Publish a probe; True if it comes back within a tenth of a second."""
    assert site.subscriber is not None
    before = len(site.subscriber.under("probe"))
    site.subscriber.publish("mammo/v1/demo/ws/probe", b"{}")
    time.sleep(0.1)
    return len(site.subscriber.under("probe")) > before


def half_open_and_slow(bench: Bench, scale: float) -> Row:
    """
    Put a proxy between that lets nothing through and keeps the connection open, then one that is
    slow.
    """
    row = Row("half-open connection, then one of 20 kB/s", scaled(6, scale))
    for _ in range(row.repetitions):
        with bench.site() as site, Proxy(site.broker.port) as proxy:
            site.config.write_text(
                site.config.read_text().replace(
                    f"port = {site.broker.port}", f"port = {proxy.port}"
                )
            )
            site.set_keys("broker", "ack_s = 1.0")
            site.ready()
            site.give_some(2)
            site.recovered()
            proxy.freeze()
            outage(row, site)
            proxy.bytes_per_s = 20_000
            proxy.thaw()
            site.give_some(4, ("folder", "mqtt"))
            finish(row, site)
    return row


def strict(bench: Bench, scale: float) -> Row:
    """Set limits and access rules that refuse results, then let them pass."""
    row = Row("oversize limit below the message; ACL that denies `result`", 0)
    for _ in range(scaled(5, scale)):
        for config in ("max_packet_size 1000\n", "acl_file {folder}/acl\n"):
            with bench.site() as site:
                site.ready()
                site.give_some(1)  # seq 1
                site.recovered()
                acl = site.broker.folder / "acl"
                acl.write_text(
                    "topic read #\ntopic write "
                    "mammo/v1/demo/edge-1/status\ntopic write "
                    "mammo/v1/demo/edge-1/health\ntopic write "
                    "mammo/v1/demo/edge-1/info\n"
                )
                acl.chmod(0o600)
                site.broker.config = config.format(folder=site.broker.folder)
                site.broker.restart()
                outage(row, site, "refused")
                site.refused = set(range(2, 2 + FILES))
                site.broker.config = ""
                site.broker.restart()
                finish(row, site)
                row.repetitions += 1
    return row


def openssl(folder: Path, *command: str) -> None:
    subprocess.run(["openssl", *command], check=True, capture_output=True, cwd=folder)


def certificate(folder: Path, days: int) -> list[str]:
    """
    Make a certificate for 127.0.0.1 that ends in a number of days; returns its lines of
    mosquitto.conf.
    """
    begins, ends = (
        ("20200101000000Z", "20200102000000Z")
        if days < 0
        else ("20200101000000Z", "20400101000000Z")
    )
    name = f"{days}"
    if not (folder / "ca.pem").exists():
        making = (
            "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 3650 -subj /CN=t"
        )
        openssl(
            folder,
            *making.split(),
            "-addext",
            "basicConstraints=critical,CA:TRUE",
            "-addext",
            "keyUsage=critical,keyCertSign",
        )
    openssl(
        folder,
        "req",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        f"{name}.key",
        "-out",
        f"{name}.csr",
        "-subj",
        "/CN=127.0.0.1",
    )
    (folder / "ca.cnf").write_text(
        "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\npolicy=p\nunique_subject=no\n"
        "x509_extensions=x\n[p]\ncommonName=supplied\n[x]\nsubjectAltName=IP:127.0.0.1\nauthorityKeyIdentifier=keyid\n"
    )
    (folder / "index.txt").touch()
    if not (folder / "serial").exists():
        (folder / "serial").write_text("01\n")
    signing = (
        "-config",
        "ca.cnf",
        "-cert",
        "ca.pem",
        "-keyfile",
        "ca.key",
        "-startdate",
        begins,
        "-enddate",
        ends,
    )
    openssl(
        folder, "ca", "-batch", *signing, "-in", f"{name}.csr", "-out", f"{name}.pem", "-notext"
    )
    return [f"certfile {folder}/{name}.pem", f"keyfile {folder}/{name}.key"]


def listen(site: Site, port: int, lines: list[str]) -> None:
    site.broker.config = "\n".join([f"listener {port} 127.0.0.1", *lines, ""])
    site.broker.restart()


def expired(bench: Bench, scale: float) -> Row:
    """Listen with an expired certificate, then with a good one."""
    row = Row("broker's certificate expired, then renewed", scaled(3, scale))
    for _ in range(row.repetitions):
        with bench.site() as site:
            folder, port = bench.new_folder(), free_port()
            site.config.write_text(
                site.config.read_text().replace(f"port = {site.broker.port}", f"port = {port}")
            )
            site.configure(f'[broker.tls]\nenabled = true\nca = "{folder}/ca.pem"\n')

            listen(site, port, certificate(folder, -1))
            site.ready()
            outage(row, site)
            listen(site, port, certificate(folder, 1))
            finish(row, site)
    return row


def set_password(site: Site, word: str) -> None:
    """Set a password; anonymous clients, such as our subscriber, may still come in."""
    passwords = site.broker.folder / "passwords"
    if shutil.which("mosquitto_passwd") is None:
        msg = "mosquitto_passwd is missing: sudo apt install mosquitto"
        raise NotHereError(msg)
    subprocess.run(
        ["mosquitto_passwd", "-b", "-c", str(passwords), "edge", word],
        capture_output=True,
        check=True,
    )
    passwords.chmod(0o644)
    site.broker.config = f"password_file {passwords}\n"
    site.broker.restart()


def password(bench: Bench, scale: float) -> Row:
    """Start with a wrong password, then change it at the broker."""
    row = Row("wrong password, then the right one", scaled(3, scale))
    for _ in range(row.repetitions):
        with bench.site() as site:
            site.set_keys("broker", 'username = "edge"', 'password = "right"')
            set_password(site, "other")
            site.ready()
            outage(row, site)
            set_password(site, "right")
            finish(row, site)
    return row


def impostor(bench: Bench, scale: float) -> Row:
    """Let another client connect with our client id, again and again."""
    row = Row("another client with our client id, ten times", scaled(5, scale))
    for _ in range(row.repetitions):
        with bench.site() as site:
            site.ready()
            for _ in range(10):
                other = Client(
                    CallbackAPIVersion.VERSION2,
                    "mammo-edge-demo-edge-1",
                    protocol=MQTTProtocolVersion.MQTTv5,
                    manual_ack=True,
                )
                kept = Properties(PacketTypes.CONNECT)
                kept.SessionExpiryInterval = 3600
                other.connect("127.0.0.1", site.broker.port, clean_start=False, properties=kept)
                other.loop_start()
                site.give_some(2, ("folder", "mqtt"))
                time.sleep(0.2)
                disconnect(other)
            finish(row, site)
    row.note = (
        "one that asks for a clean session, or none that lasts, ends ours "
        "too, and with it the requests that the broker held"
    )
    return row


SCENARIOS = (
    absent_killed_restarted,
    frozen,
    session_lost,
    half_open_and_slow,
    strict,
    expired,
    password,
    impostor,
)
