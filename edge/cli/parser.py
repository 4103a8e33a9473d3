"""
Every command and option of `mammo-edge`.

A command is named here by its function, `module.function` below `edge.cli`, and imported when it
runs: `--help` and small commands load no more than they need.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edge import NOTICE, __version__
from edge.cli.arguments import Parser, add, add_config, add_json, group, positive
from edge.cli.model_commands import add_bundles, add_models

if TYPE_CHECKING:
    from edge.cli.arguments import Commands

SHIPPED: Final = "model bundle (default: the shipped one)"
BY: Final = ("device", "view", "maker", "domain")
"""The groups of images that `performance` measures by themselves."""


def make_parser() -> argparse.ArgumentParser:
    """Build the parser; man page and shell completion are written from it too."""
    parser = Parser(
        prog="mammo-edge",
        description="Classify mammograms on the edge and publish the results over MQTT.",
        epilog=NOTICE,
    )
    parser.add_argument("--version", action="version", version=__version__)
    add_config(parser, None)
    add_json(parser, default=False)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_service(commands)
    _add_examining(commands)
    _add_daemon(commands)
    _add_setup(commands)
    below = group(commands, "model", "look after model bundles")
    add_models(below)
    add_bundles(below)
    text = "tell the running daemon what was found out about images that it scored"
    _add_feedback(group(commands, "feedback", text))
    text = "show and verify the log of what people and topics had the daemon do"
    _add_audit(group(commands, "audit", text))
    text = "look at all devices of a broker, from any machine that may read there"
    _add_fleet(group(commands, "fleet", text))
    return parser


def _add_service(commands: "Commands") -> None:
    text = "be the daemon: watch the inbox and the broker, publish results, until SIGTERM"
    add(commands, "run", "run.run", text, as_json=False)
    text = "put what modalities send by DICOM C-STORE into the inbox, until SIGTERM"
    add(commands, "receive", "receive.run", text, as_json=False)
    text = "show queue, results, exams and state to browsers, until SIGTERM"
    page = add(commands, "page", "page.run", text, as_json=False).add_mutually_exclusive_group()
    text = "make and print a new token for browsers on this machine, and end; the old one is void"
    page.add_argument("--token", action="store_true", help=text)
    text = "set the password for browsers on other machines, and end; asks, or reads a line"
    page.add_argument("--password", action="store_true", help=text)
    text = "check configuration, folders, model and known answers without starting anything"
    add(commands, "check", "check.run", text)
    text = (
        "look at everything around the daemon: broker, certificates, "
        "disk, clock, processor; say what to do"
    )
    add(commands, "doctor", "doctor.checks.run", text)


def _add_examining(commands: "Commands") -> None:
    text = "classify files and folders here and now; needs no configuration, broker or daemon"
    classify = add(commands, "classify", "classify.run", text)
    text = "a DICOM, PNG, JPEG, TIFF, ... file, or a folder of them"
    classify.add_argument("paths", nargs="+", type=Path, metavar="PATH", help=text)
    classify.add_argument("--bundle", type=Path, metavar="DIR", help=SHIPPED)
    text = "also draw each image into DIR: crop, model input, map, score"
    classify.add_argument("--explain", type=Path, metavar="DIR", help=text)
    text = (
        "time each step on this machine with this bundle: decode, "
        "prepare, infer, beside the bare network"
    )
    bench = add(commands, "bench", "bench.run", text)
    text = "files and folders (default: the bundle's own pictures)"
    bench.add_argument("paths", nargs="*", type=Path, metavar="PATH", help=text)
    bench.add_argument("--bundle", type=Path, metavar="DIR", help=SHIPPED)
    text = "how often each file is examined (default: 10)"
    bench.add_argument("--rounds", type=positive, default=10, metavar="N", help=text)


def _add_daemon(commands: "Commands") -> None:
    add(commands, "status", "control.run_status", "ask the running daemon how it is")
    text = "drop a sample film into the inbox, and show the result once subscribers have it"
    add(commands, "try", "sample.run", text)
    text = "list published results from the ledger, newest last, daemon running or not"
    results = add(commands, "results", "results.run", text)
    text = "only results after this sequence number, or since this time (ISO 8601)"
    results.add_argument("--since", metavar="SEQ|TIME", help=text)
    text = "at most N, the newest (default: 20 in a table, all as JSON)"
    results.add_argument("--limit", type=positive, metavar="N", help=text)
    results.add_argument("--exams", action="store_true", help="results of exams, by their numbers")
    text = "go on with results as they come, until Ctrl-C"
    results.add_argument("--follow", action="store_true", help=text)
    text = "print results as they come, until Ctrl-C; daemon running or not"
    watch = add(commands, "watch", "results.run_watch", text)
    text = "begin after this sequence number, or at this time (default: now)"
    watch.add_argument("--since", metavar="SEQ|TIME", help=text)
    text = (
        "measure the model on images, and on exams, with verdicts: AUC, sensitivity, specificity, "
        "calibration; daemon running or not"
    )
    performance = add(commands, "performance", "performance.run", text)
    text = "only images and exams scored since this time (ISO 8601)"
    performance.add_argument("--since", metavar="TIME", help=text)
    text = "also each machine, view, maker or domain by itself"
    performance.add_argument("--by", choices=BY, help=text)
    text = (
        "have images examined again, under a new result id; their "
        "files must still be in done or failed"
    )
    retry = add(commands, "retry", "control.run_retry", text)
    text = "an image id or result id, or its beginning"
    retry.add_argument("ids", nargs="*", metavar="ID", help=text)
    text = "rejected images whose reason begins so, such as poison"
    retry.add_argument("--reason", metavar="TEXT", help=text)
    text = "images rejected since this time (ISO 8601)"
    retry.add_argument("--since", metavar="TIME", help=text)
    retry.add_argument("--all", action="store_true", help="all rejected images")
    text = "have the running daemon send earlier results over MQTT once more"
    replay = add(commands, "replay", "control.run_replay", text)
    text = "results after this sequence number, or since this time (ISO 8601)"
    replay.add_argument("--since", metavar="SEQ|TIME", required=True, help=text)
    replay.add_argument("--exams", action="store_true", help="results of exams, by their numbers")
    text = (
        "have the running daemon read its configuration again and "
        "take the model it names, after proving it"
    )
    add(commands, "reload", "control.run_reload", text)
    text = "have the running daemon erase an image or exam and all that it knows of it; root only"
    forget = add(commands, "forget", "control.run_forget", text)
    text = "the id of an image, an exam or a result, or its beginning of 8 digits or more"
    forget.add_argument("id", metavar="ID", help=text)
    text = "erase it although a file is not found that should be there: it is gone for good"
    forget.add_argument("--gone", action="store_true", help=text)


def _add_feedback(commands: "Commands") -> None:
    text = "take the verdicts of a table, all of them or none"
    imported = add(commands, "import", "feedback.run_import", text)
    text = "CSV with the columns image_id or exam_id, truth, basis and score_seen"
    imported.add_argument("file", type=Path, metavar="FILE.csv", help=text)


def _add_audit(commands: "Commands") -> None:
    text = "check that no entry was changed, taken out or cut off"
    verify = add(commands, "verify", "audit.run_verify", text)
    text = "also that the log had this head, which was noted elsewhere"
    verify.add_argument("--head", metavar="NUMBER:HASH", help=text)
    show = add(commands, "show", "audit.run_show", "list the entries, newest last")
    text = "at most N, the newest (default: 20 in a table, all as JSON)"
    show.add_argument("--limit", type=positive, metavar="N", help=text)


def _add_fleet(commands: "Commands") -> None:
    text = "list the devices: state, versions, model, configuration, audit log, clock"
    listed = add(commands, "list", "fleet.command.run_list", text)
    text = "add up the scores of devices with one model, and compare them with its reference"
    drift = add(commands, "drift", "fleet.command.run_drift", text)
    for command, seconds in ((listed, 10), (drift, 65)):
        text = f"the longest time to listen (default: {seconds})"
        command.add_argument("--wait", type=positive, metavar="SECONDS", help=text)


def _add_setup(commands: "Commands") -> None:
    text = "write configuration, password and systemd drop-in from a few answers, and check them"
    setup = add(commands, "setup", "setup.command.run", text, as_json=False)
    text = "answers in TOML, by the names of these options (not --try), which win; nobody is asked"
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
    text = "start the service at the end, and publish the result of a sample film"
    setup.add_argument("--try", dest="tried", action="store_true", help=text)
    text = "write below DIR, another system's tree; checks nothing"
    setup.add_argument("--root", type=Path, default=Path("/"), metavar="DIR", help=text)
