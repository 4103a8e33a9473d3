"""
Every command and option of `mammo-edge`.

A command is named here by its function, `module.function` below `edge.cli`, and imported when it
runs: `--help` and small commands load no more than they need.
"""

import argparse
import shutil
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from edge import NOTICE, __version__
from edge.cli import exits
from edge.config.paths import DEFAULT_CONFIG

if TYPE_CHECKING:
    Commands: TypeAlias = argparse._SubParsersAction["Parser"]  # noqa: SLF001

SHIPPED: Final = "model bundle (default: the shipped one)"
FOLDER: Final = "the bundle's folder"
BY: Final = ("device", "view", "maker", "domain")
"""The groups of images that `performance` measures by themselves."""


class Parser(argparse.ArgumentParser):
    """A parser, and those of its commands, whose help ends with the exit statuses."""

    def format_help(self) -> str:
        """Return the help of argparse, and the exit statuses below."""
        width = shutil.get_terminal_size().columns - 2  # as argparse has it
        statuses = textwrap.fill(exits.told(self.get_default("command") or ""), width)
        return f"{super().format_help()}\n{statuses}\n"


def make_parser() -> argparse.ArgumentParser:
    """Build the parser; man page and shell completion are written from it too."""
    parser = Parser(
        prog="mammo-edge",
        description="Classify mammograms on the edge and publish the results over MQTT.",
        epilog=NOTICE,
    )
    parser.add_argument("--version", action="version", version=__version__)
    _add_config(parser, None)
    _add_json(parser, default=False)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_service(commands)
    _add_examining(commands)
    _add_daemon(commands)
    _add_setup(commands)
    below = _group(commands, "model", "look after model bundles")
    _add_models(below)
    _add_bundles(below)
    text = "tell the running daemon what was found out about images that it scored"
    _add_feedback(_group(commands, "feedback", text))
    text = "show and verify the log of what people and topics had the daemon do"
    _add_audit(_group(commands, "audit", text))
    text = "look at all devices of a broker, from any machine that may read there"
    _add_fleet(_group(commands, "fleet", text))
    return parser


def _add_config(parser: argparse.ArgumentParser, default: str | None) -> None:
    parser.add_argument(
        "--config",
        type=Path,
        metavar="PATH",
        default=default,
        help=f"configuration file (default: {DEFAULT_CONFIG})",
    )


def _add_json(parser: argparse.ArgumentParser, default: object) -> None:
    text = "print JSON for programs instead of a table for people"
    parser.add_argument("--json", action="store_true", default=default, help=text)


def _add(
    commands: "Commands", name: str, function: str, text: str, *, as_json: bool = True
) -> argparse.ArgumentParser:
    sub = commands.add_parser(name, help=text, description=_sentence(text), epilog=NOTICE)
    _add_config(sub, argparse.SUPPRESS)
    if as_json:
        _add_json(sub, argparse.SUPPRESS)
    sub.set_defaults(command=function)
    return sub


def _group(commands: "Commands", name: str, text: str) -> "Commands":
    """Add a command that has commands of its own, and return the place for these."""
    sub = commands.add_parser(name, help=text, description=_sentence(text), epilog=NOTICE)
    _add_config(sub, argparse.SUPPRESS)
    _add_json(sub, argparse.SUPPRESS)
    return sub.add_subparsers(required=True, metavar="COMMAND")


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _add_service(commands: "Commands") -> None:
    text = "be the daemon: watch the inbox and the broker, publish results, until SIGTERM"
    _add(commands, "run", "run.run", text, as_json=False)
    text = "put what modalities send by DICOM C-STORE into the inbox, until SIGTERM"
    _add(commands, "receive", "receive.run", text, as_json=False)
    text = "check configuration, folders, model and known answers without starting anything"
    _add(commands, "check", "check.run", text)
    text = (
        "look at everything around the daemon: broker, certificates, "
        "disk, clock, processor; say what to do"
    )
    _add(commands, "doctor", "doctor.checks.run", text)


def _add_examining(commands: "Commands") -> None:
    text = "classify files and folders here and now; needs no configuration, broker or daemon"
    classify = _add(commands, "classify", "classify.run", text)
    text = "a DICOM, PNG, JPEG, TIFF, ... file, or a folder of them"
    classify.add_argument("paths", nargs="+", type=Path, metavar="PATH", help=text)
    classify.add_argument("--bundle", type=Path, metavar="DIR", help=SHIPPED)
    text = "also draw each image into DIR: crop, model input, map, score"
    classify.add_argument("--explain", type=Path, metavar="DIR", help=text)
    text = (
        "time each step on this machine with this bundle: decode, "
        "prepare, infer, beside the bare network"
    )
    bench = _add(commands, "bench", "bench.run", text)
    text = "files and folders (default: the bundle's own pictures)"
    bench.add_argument("paths", nargs="*", type=Path, metavar="PATH", help=text)
    bench.add_argument("--bundle", type=Path, metavar="DIR", help=SHIPPED)
    text = "how often each file is examined (default: 10)"
    bench.add_argument("--rounds", type=_positive, default=10, metavar="N", help=text)


def _add_daemon(commands: "Commands") -> None:
    _add(commands, "status", "control.run_status", "ask the running daemon how it is")
    text = "list published results from the ledger, newest last, daemon running or not"
    results = _add(commands, "results", "results.run", text)
    text = "only results after this sequence number, or since this time (ISO 8601)"
    results.add_argument("--since", metavar="SEQ|TIME", help=text)
    text = "at most N, the newest (default: 20 in a table, all as JSON)"
    results.add_argument("--limit", type=_positive, metavar="N", help=text)
    results.add_argument("--exams", action="store_true", help="results of exams, by their numbers")
    text = "go on with results as they come, until Ctrl-C"
    results.add_argument("--follow", action="store_true", help=text)
    text = "print results as they come, until Ctrl-C; daemon running or not"
    watch = _add(commands, "watch", "results.run_watch", text)
    text = "begin after this sequence number, or at this time (default: now)"
    watch.add_argument("--since", metavar="SEQ|TIME", help=text)
    text = (
        "measure the model on images with verdicts: AUC, sensitivity, specificity, calibration; "
        "daemon running or not"
    )
    performance = _add(commands, "performance", "performance.run", text)
    text = "only images scored since this time (ISO 8601)"
    performance.add_argument("--since", metavar="TIME", help=text)
    text = "also each machine, view, maker or domain by itself"
    performance.add_argument("--by", choices=BY, help=text)
    text = (
        "have images examined again, under a new result id; their "
        "files must still be in done or failed"
    )
    retry = _add(commands, "retry", "control.run_retry", text)
    text = "an image id or result id, or its beginning"
    retry.add_argument("ids", nargs="*", metavar="ID", help=text)
    text = "rejected images whose reason begins so, such as poison"
    retry.add_argument("--reason", metavar="TEXT", help=text)
    text = "images rejected since this time (ISO 8601)"
    retry.add_argument("--since", metavar="TIME", help=text)
    retry.add_argument("--all", action="store_true", help="all rejected images")
    text = "have the running daemon send earlier results over MQTT once more"
    replay = _add(commands, "replay", "control.run_replay", text)
    text = "results after this sequence number, or since this time (ISO 8601)"
    replay.add_argument("--since", metavar="SEQ|TIME", required=True, help=text)
    replay.add_argument("--exams", action="store_true", help="results of exams, by their numbers")
    text = (
        "have the running daemon read its configuration again and "
        "take the model it names, after proving it"
    )
    _add(commands, "reload", "control.run_reload", text)
    text = "have the running daemon erase an image or exam and all that it knows of it; root only"
    forget = _add(commands, "forget", "control.run_forget", text)
    text = "the id of an image, an exam or a result, or its beginning of 8 digits or more"
    forget.add_argument("id", metavar="ID", help=text)
    text = "erase it although a file is not found that should be there: it is gone for good"
    forget.add_argument("--gone", action="store_true", help=text)


def _add_feedback(commands: "Commands") -> None:
    text = "take the verdicts of a table, all of them or none"
    imported = _add(commands, "import", "feedback.run_import", text)
    text = "CSV with the columns image_id, truth, basis and score_seen"
    imported.add_argument("file", type=Path, metavar="FILE.csv", help=text)


def _add_audit(commands: "Commands") -> None:
    text = "check that no entry was changed, taken out or cut off"
    verify = _add(commands, "verify", "audit.run_verify", text)
    text = "also that the log had this head, which was noted elsewhere"
    verify.add_argument("--head", metavar="NUMBER:HASH", help=text)
    show = _add(commands, "show", "audit.run_show", "list the entries, newest last")
    text = "at most N, the newest (default: 20 in a table, all as JSON)"
    show.add_argument("--limit", type=_positive, metavar="N", help=text)


def _add_fleet(commands: "Commands") -> None:
    text = "list the devices: state, versions, model, configuration, audit log, clock"
    listed = _add(commands, "list", "fleet.command.run_list", text)
    text = "add up the scores of devices with one model, and compare them with its reference"
    drift = _add(commands, "drift", "fleet.command.run_drift", text)
    for command, seconds in ((listed, 10), (drift, 65)):
        text = f"the longest time to listen (default: {seconds})"
        command.add_argument("--wait", type=_positive, metavar="SECONDS", help=text)


def _add_setup(commands: "Commands") -> None:
    text = "write configuration, password and systemd drop-in from a few answers, and check them"
    setup = _add(commands, "setup", "setup.command.run", text, as_json=False)
    text = "answers in TOML, by the names of these options, which win; nobody is asked"
    setup.add_argument("--from", dest="answers", type=Path, metavar="FILE.toml", help=text)
    text = "the MQTT broker; without this option a person is asked"
    setup.add_argument("--broker", metavar="HOST[:PORT]", help=text)
    setup.add_argument("--site", help="the clinic, a level of the topics: lower case")
    setup.add_argument("--device", help="this device, unique within the site")
    setup.add_argument("--inbox", metavar="DIR", help="the watched folder")
    setup.add_argument("--username", help="at the broker")
    text = "its first line is the password; - asks, or reads the standard input"
    setup.add_argument("--password-file", metavar="FILE", help=text)
    for name, text in (
        ("ca", "the broker's certificate authority"),
        ("cert", "this device's certificate"),
        ("key", "its private key"),
    ):
        setup.add_argument(f"--{name}", type=Path, metavar="FILE", help=f"{text}; turns TLS on")
    text = "leave the service its access to Coral accelerators, or take it (default: as it was)"
    setup.add_argument("--coral", action=argparse.BooleanOptionalAction, help=text)
    setup.add_argument("--instance", metavar="NAME", help="set up mammo-edge@NAME.service instead")
    text = "write below DIR, another system's tree; checks nothing"
    setup.add_argument("--root", type=Path, default=Path("/"), metavar="DIR", help=text)


def _add_models(commands: "Commands") -> None:
    text = "list the installed bundles, and which of them serves"
    _add(commands, "list", "models.run_list", text)
    text = "check a bundle: hashes, load, shapes, known answers; and say who signed it"
    verify = _add(commands, "verify", "models.run_verify", text)
    text = f"{FOLDER} (default: what serves)"
    verify.add_argument("bundle", nargs="?", type=Path, metavar="DIR", help=text)
    text = "copy a bundle beside the others, once its signature and known answers are right"
    install = _add(commands, "install", "models.run_install", text)
    install.add_argument("bundle", type=Path, metavar="DIR", help=FOLDER)
    install.add_argument("--activate", action="store_true", help="and have it serve")
    text = "have an installed bundle serve, after proving it, without losing an image"
    activate = _add(commands, "activate", "models.run_activate", text)
    text = "an id or its beginning, a version, or shipped"
    activate.add_argument("bundle", metavar="BUNDLE", help=text)
    for command in (install, activate):
        text = "activate it also if it was measured to be no better than chance"
        command.add_argument("--force", action="store_true", help=text)
    text = "go back to the bundle that served before"
    _add(commands, "rollback", "models.run_rollback", text)
    text = "forget an installed bundle that neither serves nor served last"
    remove = _add(commands, "remove", "models.run_remove", text)
    text = "an id or its beginning, or a version"
    remove.add_argument("bundle", metavar="BUNDLE", help=text)


def _add_bundles(commands: "Commands") -> None:
    text = "sign a bundle, so that devices that know the key take it"
    sign = _add(commands, "sign", "bundles.run_sign", text)
    sign.add_argument("bundle", type=Path, metavar="DIR", help=FOLDER)
    text = "private key: openssl genpkey -algorithm ed25519"
    sign.add_argument("--key", type=Path, required=True, metavar="FILE", help=text)
    text = "put what edgetpu_compiler made of a bundle's int8 model beside it, in a new bundle"
    compiled = _add(commands, "edgetpu", "bundles.run_edgetpu", text)
    compiled.add_argument("bundle", type=Path, metavar="DIR", help=FOLDER)
    compiled.add_argument("compiled", type=Path, metavar="FILE", help="the compiled model")
    text = "the new bundle's folder; sign it anew"
    compiled.add_argument("out", type=Path, metavar="OUT", help=text)
    text = (
        "hand a bundle to devices through the broker: announced, "
        "and in chunks, until it is withdrawn"
    )
    publish = _add(commands, "publish", "publish.run_publish", text)
    publish.add_argument("bundle", type=Path, metavar="DIR", help=FOLDER)
    text = "take away what is announced to devices, chunks and all"
    withdraw = _add(commands, "withdraw", "publish.run_withdraw", text)
    text = "may be repeated (default: the configuration's)"
    for to in (publish, withdraw):
        to.add_argument("--to", action="append", default=[], metavar="SITE/DEVICE", help=text)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        msg = f"found {number}, expected 1 or more"
        raise argparse.ArgumentTypeError(msg)
    return number
