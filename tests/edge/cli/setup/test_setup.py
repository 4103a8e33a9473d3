"""From a few answers to a configuration, a credential and a drop-in."""

import stat
import subprocess
import tomllib
from pathlib import Path

import pytest

from edge.cli import main
from edge.cli.setup import command
from edge.cli.setup.accounts import Accounts
from edge.cli.setup.apply import is_running, make_folders, write
from edge.cli.setup.ask import ASKED, ask_for, read_password
from edge.cli.setup.dropin import CPU_ONLY, render
from edge.cli.setup.plan import Answers, Planned, plan
from edge.config.load import load
from edge.config.pacs import Pacs
from edge.config.settings import Settings
from edge.errors import ConfigError
from tests.support.tools import ROOT, need

BROKER = {"broker.clinic.lan": ["192.168.7.4"], "localhost": ["127.0.0.1", "::1"]}


def resolve(host: str) -> list[str]:
    return BROKER.get(host, [])


def setup(root: Path, **said: object) -> tuple[Path, str]:
    """Run it; returns the configuration and the drop-in's text."""
    answers = Answers(**said)  # type: ignore[arg-type]
    files, settings = plan(answers, root, resolve)
    accounts = Accounts.of(root)
    write(files, accounts)
    make_folders(settings, root, accounts)
    return files[0].path, files[-1].path.read_text()


def test_the_answers_become_a_configuration_with_every_other_key_commented(tmp_path: Path) -> None:
    config, _ = setup(tmp_path, broker="broker.clinic.lan:8884", site="north", device="edge-7")
    settings = load(config, {})
    assert (settings.broker.host, settings.broker.port) == ("broker.clinic.lan", 8884)
    assert (settings.device.site, settings.device.name) == ("north", "edge-7")
    assert "# timeout_s = 60.0" in config.read_text()
    assert stat.S_IMODE(config.stat().st_mode) == 0o640


def test_run_again_it_changes_what_was_said_and_keeps_the_rest(tmp_path: Path) -> None:
    config, _ = setup(tmp_path, broker="localhost", site="north")
    config.write_text(config.read_text().replace("# timeout_s = 60.0", "timeout_s = 30.0"))
    setup(tmp_path, device="edge-9")
    settings = load(config, {})
    assert (settings.worker.timeout_s, settings.device.site, settings.device.name) == (
        30.0,
        "north",
        "edge-9",
    )


def test_the_password_is_root_s_alone_and_stands_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("geheim\nrest\n")
    config, drop_in = setup(
        tmp_path, broker="localhost", password=read_password(str(tmp_path / "pw"))
    )
    secret = config.with_name("mqtt.password")
    assert (secret.read_text(), stat.S_IMODE(secret.stat().st_mode)) == ("geheim\n", 0o600)
    assert "geheim" not in config.read_text() + drop_in


def test_the_address_filter_lets_through_the_broker_and_the_resolvers_and_nobody_else(
    tmp_path: Path,
) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/resolv.conf").write_text(
        "# dns\nnameserver 192.168.7.1\nnameserver 127.0.0.53\nsearch lan\n"
    )
    _, drop_in = setup(tmp_path, broker="broker.clinic.lan")
    assert "\nIPAddressAllow=\nIPAddressAllow=localhost 192.168.7.4 192.168.7.1\n" in drop_in


def test_the_address_filter_lets_through_the_pacs_that_gets_reports(tmp_path: Path) -> None:
    pacs = Pacs(peer="P@10.1.2.3:104", allow_cleartext=True)
    settings = Settings.model_validate({"broker": {"host": "10.9.9.9"}, "pacs": pacs})
    drop_in = render(settings, None, tmp_path, lambda host: [host], coral=False)
    assert "\nIPAddressAllow=localhost 10.9.9.9 10.1.2.3\n" in drop_in
    known = {"10.9.9.9": ["10.9.9.9"]}
    nowhere = render(settings, None, tmp_path, lambda host: known.get(host, []), coral=False)
    assert "IPAddressAllow" not in nowhere


def test_a_broker_without_an_address_leaves_the_unit_s_own_filter(tmp_path: Path) -> None:
    _, drop_in = setup(tmp_path, broker="unknown.lan")
    assert "IPAddressAllow" not in drop_in


def test_without_a_coral_there_is_no_device_and_the_lines_are_those_of_the_shipped_drop_in(
    tmp_path: Path,
) -> None:
    _, drop_in = setup(tmp_path, broker="localhost")
    assert drop_in.endswith(CPU_ONLY)
    assert (ROOT / "systemd/drop-ins/cpu-only.conf").read_text().endswith(CPU_ONLY)
    _, drop_in = setup(tmp_path, broker="localhost", coral=True)
    assert "PrivateDevices" not in drop_in


def test_a_device_with_a_coral_keeps_it_when_another_answer_changes_until_told_otherwise(
    tmp_path: Path,
) -> None:
    setup(tmp_path, broker="localhost", coral=True)
    assert CPU_ONLY not in setup(tmp_path, broker="broker.clinic.lan")[1]
    assert CPU_ONLY in setup(tmp_path, coral=False)[1]
    assert CPU_ONLY in setup(tmp_path, site="north")[1]


def test_a_password_that_an_earlier_setup_wrote_goes_to_no_other_machine_in_clear(
    tmp_path: Path,
) -> None:
    (tmp_path / "pw").write_text("geheim\n")
    config, _ = setup(tmp_path, broker="localhost", password=read_password(str(tmp_path / "pw")))
    with pytest.raises(ConfigError, match=r"would go in clear to broker\.clinic\.lan"):
        setup(tmp_path, broker="broker.clinic.lan")
    assert load(config, {}).broker.host == "localhost"


def test_certificates_turn_tls_on_and_move_the_port(tmp_path: Path) -> None:
    config, _ = setup(tmp_path, broker="broker.clinic.lan", ca=Path("/etc/mammo-edge/ca.crt"))
    broker = tomllib.loads(config.read_text())["broker"]
    assert (broker["port"], broker["tls"]) == (
        8883,
        {"enabled": True, "ca": "/etc/mammo-edge/ca.crt"},
    )


@pytest.mark.parametrize(
    ("broker", "port"), [("broker.clinic.lan", 8883), ("broker.clinic.lan:1884", 1884)]
)
def test_certificates_for_a_broker_that_an_earlier_setup_named_move_a_port_nobody_named(
    tmp_path: Path, broker: str, port: int
) -> None:
    setup(tmp_path, broker=broker)
    config, _ = setup(tmp_path, ca=Path("/etc/mammo-edge/ca.crt"))
    settings = load(config, {}).broker
    assert (settings.host, settings.port, settings.tls.enabled) == ("broker.clinic.lan", port, True)


def test_an_inbox_elsewhere_is_made_for_the_senders_and_may_be_written(tmp_path: Path) -> None:
    _, drop_in = setup(tmp_path, broker="localhost", inbox=Path("/data/films"))
    assert "ReadWritePaths=-/data/films\n" in drop_in
    assert stat.S_IMODE((tmp_path / "data/films").stat().st_mode) == 0o3770


def test_systemd_lets_the_daemon_write_each_folder_of_the_configuration_and_waits_for_its_mount(
    tmp_path: Path,
) -> None:
    config = tmp_path / "etc/mammo-edge/edge.toml"
    config.parent.mkdir(parents=True)
    config.write_text(
        '[spool]\ndone = "/data/50% off"\n[state]\npath = '
        '"/data/state"\n[publish]\njsonl = "/data/lines/r.jsonl"\n'
    )
    _, drop_in = setup(tmp_path, broker="localhost", inbox=Path("/data/My films"))
    writable = [
        line.removeprefix("ReadWritePaths=")
        for line in drop_in.splitlines()
        if line.startswith("ReadWritePaths=")
    ]
    assert writable == ['"-/data/50%% off"', '"-/data/My films"', "-/data/lines", "-/data/state"]
    assert '[Unit]\nRequiresMountsFor="/data/50%% off" /data/state\n[Service]\n' in drop_in


def test_systemd_reads_the_drop_in_as_it_was_meant(tmp_path: Path) -> None:
    _, drop_in = setup(tmp_path, broker="localhost", inbox=Path("/data/50% \"off\" my 'films'"))
    unit = tmp_path / "x.service"
    unit.write_text(f"{drop_in}ExecStart=/bin/true\n")
    done = subprocess.run(
        [need("systemd-analyze", "systemd"), "verify", "--man=no", unit],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout + done.stderr == ""


@pytest.mark.parametrize("way", [EOFError, KeyboardInterrupt])
def test_a_person_who_wants_no_more_questions_may_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: type[BaseException]
) -> None:
    def leave(_: str) -> str:
        raise way

    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", leave)
    monkeypatch.setattr("getpass.getpass", leave)
    with pytest.raises(ConfigError, match="nothing was written"):
        ask_for(dict.fromkeys(ASKED), tmp_path, None, resolve)
    with pytest.raises(ConfigError, match="nothing was written"):
        read_password("-")


def test_an_instance_that_cannot_be_is_refused_before_a_person_is_asked_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    for name in ("a/b", "Left", "edge"):
        with pytest.raises(ConfigError, match=f"instance: found '{name}'"):
            ask_for(dict.fromkeys(ASKED), tmp_path, name, resolve)


@pytest.mark.parametrize(
    ("instance", "inbox"), [(None, "/srv/mammo-edge/inbox"), ("left", "/srv/mammo-edge/left/inbox")]
)
def test_a_person_is_asked_for_broker_site_device_and_inbox_and_sees_what_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instance: str | None, inbox: str
) -> None:
    def answer(question: str) -> str:
        questions.append(question)
        return answers.pop(0)

    def ask() -> dict[str, str | None]:
        return ask_for(dict.fromkeys(ASKED), tmp_path, instance, resolve)

    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", answer)
    questions: list[str] = []
    answers = ["broker.clinic.lan", "", "", " /data/films "]
    assert ask() == {
        "broker": "broker.clinic.lan",
        "site": None,
        "device": None,
        "inbox": "/data/films",
    }
    assert questions == [
        "broker [localhost]: ",
        "site [site]: ",
        f"device [{instance or 'edge-1'}]: ",
        f"inbox [{inbox}]: ",
    ]
    setup(tmp_path, broker="localhost", inbox=Path("/data/films"), instance=instance)
    answers = ["", "", "", ""]
    assert ask() == dict.fromkeys(ASKED)
    assert questions[-1] == "inbox [/data/films]: "


def test_answers_in_any_script_read_back_as_they_were_typed(tmp_path: Path) -> None:
    config, _ = setup(
        tmp_path,
        broker="localhost",
        username='Röntgen 😀 \x7f " \\ \t',
        inbox=Path("/data/Ärzte 😀"),
    )
    settings = load(config, {})
    assert (settings.broker.username, settings.inbox.path) == (
        'Röntgen 😀 \x7f " \\ \t',
        Path("/data/Ärzte 😀"),
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('broker = "x"', r"broker: found a single value or a list, expected a table, \[broker\]"),
        ("inbox = 3", r"expected a table, \[inbox\]"),
        ('[[broker]]\nhost = "x"', r"expected a table, \[broker\]"),
        ("[broker]\ntls = true", r"expected a table, \[broker.tls\]"),
        ("[worker]\ntimeout_s = inf", "worker.timeout_s: Input should be a finite number"),
        ("[retention]\ndone_days = nan", "retention.done_days: Input should be"),
        ("[broker", "remove it or mend it first"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_named_and_left_as_it_is(
    tmp_path: Path, text: str, why: str
) -> None:
    config = tmp_path / "etc/mammo-edge/edge.toml"
    config.parent.mkdir(parents=True)
    config.write_text(text)
    with pytest.raises(ConfigError, match=why):
        setup(tmp_path, broker="localhost", ca=Path("/etc/mammo-edge/ca.crt"))
    assert config.read_text() == text


def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "etc").write_text("no folder")
    with pytest.raises(ConfigError, match=r"etc/mammo-edge/edge.toml: Not a directory"):
        setup(tmp_path, broker="localhost")


def test_an_instance_has_places_of_its_own_that_its_unit_lets_it_write(tmp_path: Path) -> None:
    config, drop_in = setup(tmp_path, broker="localhost", instance="left")
    settings = load(config, {})
    assert config == tmp_path / "etc/mammo-edge/left.toml"
    assert settings.device.name == "left"
    assert {settings.inbox.path.parent, settings.spool.path.parent, settings.spool.done.parent} == {
        Path("/srv/mammo-edge/left")
    }
    assert (settings.state.path, settings.control.socket) == (
        Path("/var/lib/mammo-edge/left"),
        Path("/run/mammo-edge-left/control.sock"),
    )
    assert "ReadWritePaths" not in drop_in


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"broker": "host:port"}, "expected HOST or HOST:PORT"),
        ({"broker": "host:70000"}, "broker.port"),
        ({"site": "North Clinic"}, "device.site"),
        ({"instance": "../x"}, "instance: found"),
        ({"cert": Path("/etc/mammo-edge/x")}, "belong together"),
        ({"inbox": Path("inbox")}, "expected a path that begins with /"),
        (
            {"inbox": Path("/home/pi/inbox")},
            "inbox.path: /home/pi/inbox: the service sees no home or temporary folders",
        ),
        ({"inbox": Path("/srv/a\nb")}, "without control characters"),
        ({"inbox": Path("/srv/\udcff")}, "no text in UTF-8"),
        ({"broker": "broker.lan", "password": "geheim"}, "password would go in clear"),
        *(
            ({"instance": name}, "expected .* none of")
            for name in ("edge", "mqtt", "inbox", "models", "ca", "device")
        ),
    ],
)
def test_an_answer_that_makes_no_configuration_is_refused_and_nothing_is_written(
    tmp_path: Path, said: dict[str, object], why: str
) -> None:
    with pytest.raises(ConfigError, match=why):
        setup(tmp_path, **said)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("[::1]:1884", "::1", 1884),
        ("::1", "::1", 1883),
        ("fe80::5", "fe80::5", 1883),
        ("b", "b", 1883),
    ],
)
def test_addresses_with_and_without_a_port_are_understood(
    tmp_path: Path, text: str, host: str, port: int
) -> None:
    config, _ = setup(tmp_path, broker=text)
    assert (load(config, {}).broker.host, load(config, {}).broker.port) == (host, port)


@pytest.mark.parametrize(("status", "running"), [(0, True), (3, False)])
def test_systemd_says_if_the_service_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, *, running: bool
) -> None:
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(
        f'#!/bin/sh\n[ "$*" = "is-active --quiet mammo-edge.service" ] || exit 9\nexit {status}\n'
    )
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert is_running("mammo-edge.service") is running
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert is_running("mammo-edge.service") is False


def test_a_service_that_runs_is_to_be_restarted_and_another_enabled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("write", "make_folders", "reload_systemd"):
        monkeypatch.setattr(command, name, lambda *_: None)
    monkeypatch.setattr(command, "plan", lambda *_: ([Planned(tmp_path, 0, "")], Settings()))
    for name in ("check", "try_broker"):
        monkeypatch.setattr(command, name, lambda *_: 0)
    for running, what in ((True, "restart"), (False, "enable --now")):
        monkeypatch.setattr(command, "is_running", lambda _, now=running: now)
        assert main.main(["setup", "--broker", "localhost", "--instance", "left"]) == 0
        assert capsys.readouterr().out.endswith(f"now: systemctl {what} mammo-edge@left\n")
