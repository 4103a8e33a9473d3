"""The command `mammo-edge`."""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from edge import NOTICE, __version__
from edge.config.settings import (
    DEFAULT_CONFIG,
    Settings,
    credential_of,
    load,
    read_environment,
    unit_of,
)
from edge.errors import MammoEdgeError, StartupError

EXIT_FAILED: Final = 1
EXIT_CONFIG: Final = 78
EXIT_INTERRUPTED: Final = 130
"""As shells say of a program that SIGINT ended."""


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run one command; returns the exit status: 0 done, 1 failed, 2 usage, 78 configuration or model
    unusable, 130 interrupted.
    """
    arguments = make_parser().parse_args(argv)
    command: Callable[[argparse.Namespace], int] = arguments.command
    try:
        return command(arguments)
    except StartupError as error:
        print(f"mammo-edge: {error}", file=sys.stderr)
        return EXIT_CONFIG
    except MammoEdgeError as error:
        print(f"mammo-edge: {error}", file=sys.stderr)
        return EXIT_FAILED
    except BrokenPipeError:  # `mammo-edge results | head`
        sys.stderr.close()
        return EXIT_FAILED
    except KeyboardInterrupt:
        print("mammo-edge: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED


def make_parser() -> argparse.ArgumentParser:
    """Every command and option; man page and completion are written from it too."""
    parser = argparse.ArgumentParser(
        prog="mammo-edge",
        description="Classify mammograms on the edge and publish the results over MQTT.",
        epilog=NOTICE,
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument(
        "--config",
        type=Path,
        metavar="PATH",
        help=f"configuration file (default: {DEFAULT_CONFIG})",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(
        name: str, command: Callable[[argparse.Namespace], int], text: str, *, as_json: bool = True
    ) -> argparse.ArgumentParser:
        sub = commands.add_parser(
            name, help=text, description=text[0].upper() + text[1:] + ".", epilog=NOTICE
        )
        sub.add_argument(
            "--config",
            type=Path,
            metavar="PATH",
            default=argparse.SUPPRESS,
            help=f"configuration file (default: {DEFAULT_CONFIG})",
        )
        if as_json:
            sub.add_argument(
                "--json",
                action="store_true",
                help="print JSON for programs instead of a table for people",
            )
        sub.set_defaults(command=command)
        return sub

    add(
        "run",
        _run,
        "be the daemon: watch the inbox and the broker, publish results, until SIGTERM",
        as_json=False,
    )
    add(
        "check",
        _check,
        "check configuration, folders, model and known answers without starting anything",
    )
    add(
        "doctor",
        _doctor,
        "look at everything around the daemon: broker, certificates, "
        "disk, clock, processor; say what to do",
    )
    classify = add(
        "classify",
        _classify,
        "classify files and folders here and now; needs no configuration, broker or daemon",
    )
    classify.add_argument(
        "paths",
        nargs="+",
        type=Path,
        metavar="PATH",
        help="a DICOM, PNG, JPEG, TIFF, ... file, or a folder of them",
    )
    classify.add_argument(
        "--bundle", type=Path, metavar="DIR", help="model bundle (default: the shipped one)"
    )
    classify.add_argument(
        "--explain",
        type=Path,
        metavar="DIR",
        help="also draw each image into DIR: crop, model input, map, score",
    )
    bench = add(
        "bench",
        _bench,
        "time each step on this machine with this bundle: decode, "
        "prepare, infer, beside the bare network",
    )
    bench.add_argument(
        "paths",
        nargs="*",
        type=Path,
        metavar="PATH",
        help="files and folders (default: the bundle's own pictures)",
    )
    bench.add_argument(
        "--bundle", type=Path, metavar="DIR", help="model bundle (default: the shipped one)"
    )
    bench.add_argument(
        "--rounds",
        type=_positive,
        default=10,
        metavar="N",
        help="how often each file is examined (default: 10)",
    )
    add("status", _status, "ask the running daemon how it is")
    results = add(
        "results",
        _results,
        "list published results from the ledger, newest last, daemon running or not",
    )
    results.add_argument(
        "--since",
        metavar="SEQ|TIME",
        help="only results after this sequence number, or since this time (ISO 8601)",
    )
    results.add_argument(
        "--limit",
        type=_positive,
        default=None,
        metavar="N",
        help="at most N, the newest (default: 20 in a table, all as JSON)",
    )
    retry = add(
        "retry",
        _retry,
        "have images examined again, under a new result id; their "
        "files must still be in done or failed",
    )
    retry.add_argument(
        "ids", nargs="+", metavar="ID", help="an image id or result id, or its beginning"
    )
    add(
        "reload",
        _reload,
        "have the running daemon read its configuration again and "
        "take the model it names, after proving it",
    )
    _add_setup(
        add(
            "setup",
            _setup,
            "write configuration, password and systemd drop-in from a few answers, and check them",
            as_json=False,
        )
    )
    _add_models(
        commands.add_parser(
            "model",
            help="look after model bundles",
            description="Look after model bundles.",
            epilog=NOTICE,
        )
    )
    return parser


def _add_models(sub: argparse.ArgumentParser) -> None:
    commands = sub.add_subparsers(required=True, metavar="COMMAND")

    def add(
        name: str, command: Callable[[argparse.Namespace], int], text: str
    ) -> argparse.ArgumentParser:
        made = commands.add_parser(
            name, help=text, description=text[0].upper() + text[1:] + ".", epilog=NOTICE
        )
        made.add_argument(
            "--config",
            type=Path,
            metavar="PATH",
            default=argparse.SUPPRESS,
            help="configuration file",
        )
        made.add_argument("--json", action="store_true", help="print JSON for programs")
        made.set_defaults(command=command)
        return made

    add("list", _models, "list the installed bundles, and which of them serves")
    verify = add(
        "verify",
        _verify,
        "check a bundle: hashes, load, shapes, known answers; and say who signed it",
    )
    verify.add_argument(
        "bundle",
        nargs="?",
        type=Path,
        metavar="DIR",
        help="the bundle's folder (default: what serves)",
    )
    install = add(
        "install",
        _install,
        "copy a bundle beside the others, once its signature and known answers are right",
    )
    install.add_argument("bundle", type=Path, metavar="DIR", help="the bundle's folder")
    install.add_argument("--activate", action="store_true", help="and have it serve")
    activate = add(
        "activate",
        _activate,
        "have an installed bundle serve, after proving it, without losing an image",
    )
    activate.add_argument(
        "bundle", metavar="BUNDLE", help="an id or its beginning, a version, or shipped"
    )
    add("rollback", _rollback, "go back to the bundle that served before")
    remove = add(
        "remove", _remove, "forget an installed bundle that neither serves nor served last"
    )
    remove.add_argument("bundle", metavar="BUNDLE", help="an id or its beginning, or a version")
    sign = add("sign", _sign, "sign a bundle, so that devices that know the key take it")
    sign.add_argument("bundle", type=Path, metavar="DIR", help="the bundle's folder")
    sign.add_argument(
        "--key",
        type=Path,
        required=True,
        metavar="FILE",
        help="private key: openssl genpkey -algorithm ed25519",
    )
    compiled = add(
        "edgetpu",
        _edgetpu,
        "put what edgetpu_compiler made of a bundle's int8 model beside it, in a new bundle",
    )
    compiled.add_argument("bundle", type=Path, metavar="DIR", help="the bundle's folder")
    compiled.add_argument("compiled", type=Path, metavar="FILE", help="the compiled model")
    compiled.add_argument(
        "out", type=Path, metavar="OUT", help="the new bundle's folder; sign it anew"
    )
    publish = add(
        "publish",
        _publish,
        "hand a bundle to devices through the broker: announced, "
        "and in chunks, until it is withdrawn",
    )
    publish.add_argument("bundle", type=Path, metavar="DIR", help="the bundle's folder")
    withdraw = add("withdraw", _withdraw, "take away what is announced to devices, chunks and all")
    for to in (publish, withdraw):
        to.add_argument(
            "--to",
            action="append",
            default=[],
            metavar="SITE/DEVICE",
            help="may be repeated (default: the configuration's)",
        )


def _add_setup(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--broker",
        metavar="HOST[:PORT]",
        help="the MQTT broker; without this option a person is asked",
    )
    sub.add_argument("--site", help="the clinic, a level of the topics: lower case")
    sub.add_argument("--device", help="this device, unique within the site")
    sub.add_argument("--inbox", metavar="DIR", help="the watched folder")
    sub.add_argument("--username", help="at the broker")
    sub.add_argument(
        "--password-file",
        metavar="FILE",
        help="its first line is the password; - asks, or reads the standard input",
    )
    for name, text in (
        ("ca", "the broker's certificate authority"),
        ("cert", "this device's certificate"),
        ("key", "its private key"),
    ):
        sub.add_argument(f"--{name}", type=Path, metavar="FILE", help=f"{text}; turns TLS on")
    sub.add_argument(
        "--coral",
        action=argparse.BooleanOptionalAction,
        help="leave the service its access to Coral accelerators, or take it (default: as it was)",
    )
    sub.add_argument("--instance", metavar="NAME", help="set up mammo-edge@NAME.service instead")
    sub.add_argument(
        "--root",
        type=Path,
        default=Path("/"),
        metavar="DIR",
        help="write below DIR, another system's tree; checks nothing",
    )


def _run(arguments: argparse.Namespace) -> int:
    from edge.daemon import app  # noqa: PLC0415 - commands that only ask need none of it

    overrides = read_environment()
    app.run(load(arguments.config, overrides), lambda: load(arguments.config, overrides))
    return 0


def _check(arguments: argparse.Namespace) -> int:
    from edge.cli import check  # noqa: PLC0415

    findings = list(
        check.findings(load(arguments.config), credential_of(arguments.config or DEFAULT_CONFIG))
    )
    if arguments.json:
        print(
            json.dumps(
                [{"what": what, "ok": ok, "detail": detail} for what, ok, detail in findings]
            )
        )
    else:
        _table(
            ("", "what", "detail"),
            [("ok" if ok else "FAILED", what, detail) for what, ok, detail in findings],
        )
    return 0 if all(ok for _, ok, _ in findings) else EXIT_CONFIG


def _doctor(arguments: argparse.Namespace) -> int:
    from edge.cli.doctor import checks  # noqa: PLC0415

    config = arguments.config or DEFAULT_CONFIG
    found = list(
        checks.examine(load(arguments.config), stored=credential_of(config), unit=unit_of(config))
    )
    if arguments.json:
        print(
            json.dumps(
                [{"what": line.what, "level": line.level, "detail": line.detail} for line in found]
            )
        )
    else:
        _table(("", "what", "detail"), [(line.level, line.what, line.detail) for line in found])
    return EXIT_FAILED if any(line.level is checks.Level.FAILED for line in found) else 0


def _classify(arguments: argparse.Namespace) -> int:
    from edge.cli import classify  # noqa: PLC0415

    settings = load(arguments.config) if arguments.config else Settings()
    messages = classify.classify(arguments.paths, settings, arguments.bundle, arguments.explain)
    failed = False
    if arguments.json:
        for message, unreadable in messages:
            failed |= unreadable
            print(json.dumps(message), flush=True)
    else:
        rows = []
        for message, unreadable in messages:
            failed |= unreadable
            rows.append((message["source"]["path"], *_row(message)))
        _table(("file", *_HEAD), rows)
        print(NOTICE)
    return EXIT_FAILED if failed else 0


def _bench(arguments: argparse.Namespace) -> int:
    from edge.cli import bench  # noqa: PLC0415

    settings = load(arguments.config) if arguments.config else Settings()
    machine, files = bench.bench(arguments.paths, settings, arguments.bundle, arguments.rounds)
    if arguments.json:
        print(json.dumps(machine | {"files": [bench.as_json(measured) for measured in files]}))
        return 0
    rows = [
        (file.path, *_bench_row(file.rejected, file.steps.values(), file.megapixels, file.overhead))
        for file in files
    ]
    _table(("file", "MP", *bench.STEPS, "infer / bare"), rows)
    print(
        f"milliseconds: median (lowest-highest) of {arguments.rounds} rounds",
        *machine.values(),
        NOTICE,
        sep="\n",
    )
    return 0


def _bench_row(
    rejected: str | None, steps: Iterable[object], megapixels: float, overhead: float
) -> tuple[object, ...]:
    return (
        (f"{megapixels:.1f}", rejected)
        if rejected
        else (f"{megapixels:.1f}", *steps, f"{1 + overhead:.3f}")
    )


def _status(arguments: argparse.Namespace) -> int:
    report = _ask(arguments, "status")
    if arguments.json:
        print(json.dumps(report))
        return 0
    from datetime import UTC, datetime  # noqa: PLC0415

    from edge.cli import status as screen  # noqa: PLC0415

    print(
        *screen.screen(
            report, screen.look_around(load(arguments.config), datetime.now(UTC).astimezone())
        ),
        sep="\n",
    )
    return 0


def _results(arguments: argparse.Namespace) -> int:
    from edge.storage.ledger.queries import open_queries  # noqa: PLC0415

    after, since = _since(arguments.since)
    with open_queries(load(arguments.config).state.path) as queries:
        if arguments.json:
            for payload in (
                queries.results(after, since, arguments.limit)
                if arguments.limit
                else queries.each_result(after, since)
            ):
                print(payload.decode())
            return 0
        payloads = queries.results(after, since, arguments.limit or 20)
    messages = [json.loads(payload) for payload in payloads]
    _table(
        ("seq", "received", *_HEAD, "image"),
        [
            (m["seq"], m["source"]["received_at"][:19], *_row(m), m["image_id"][:16])
            for m in messages
        ],
    )
    return 0


def _retry(arguments: argparse.Namespace) -> int:
    answer = _ask(arguments, "retry", images=arguments.ids)
    print(
        json.dumps(answer)
        if arguments.json
        else "\n".join(f"{image_id} is examined again" for image_id in answer["images"])
    )
    return 0


def _reload(arguments: argparse.Namespace) -> int:
    answer = _ask(arguments, "reload")
    if arguments.json:
        print(json.dumps(answer))
        return 0
    print(f"serving bundle {answer['bundle'][:16]}")
    if answer["needs_restart"]:
        print(f"changed, and taken at the next restart only: {', '.join(answer['needs_restart'])}")
    return 0


def _setup(arguments: argparse.Namespace) -> int:
    from edge.cli.setup import ask as setup  # noqa: PLC0415

    asked = setup.ask_for(
        {name: getattr(arguments, name) for name in setup.ASKED}, arguments.root, arguments.instance
    )
    answers = setup.Answers(
        password=setup.read_password(arguments.password_file),
        broker=asked["broker"],
        site=asked["site"],
        device=asked["device"],
        inbox=Path(asked["inbox"]) if asked["inbox"] else None,
        **{
            name: getattr(arguments, name)
            for name in ("username", "ca", "cert", "key", "coral", "instance")
        },
    )
    files, settings = setup.plan(answers, arguments.root, setup.addresses)
    setup.write(files)
    setup.make_folders(settings, arguments.root)
    for file in files:
        print(f"wrote {file.path}")
    if arguments.root == Path("/"):
        setup.reload_systemd()
        if status := setup.check(files[0].path):
            return status
    print(f"now: systemctl enable --now {answers.unit.removesuffix('.service')}")
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    from edge.cli import models  # noqa: PLC0415

    return _show(arguments, models.verify(load(arguments.config), arguments.bundle))


def _models(arguments: argparse.Namespace) -> int:
    from edge.cli import models  # noqa: PLC0415

    rows = models.listed(load(arguments.config))
    if arguments.json:
        print(json.dumps(rows))
    else:
        head = ("bundle", "name", "version", "signed_by", "serves")
        _table(head, [[row[key] or "" for key in head] for row in rows])
    return 0


def _install(arguments: argparse.Namespace) -> int:
    from edge.cli import models  # noqa: PLC0415

    return _show(
        arguments,
        models.install(load(arguments.config), arguments.bundle, activate=arguments.activate),
    )


def _activate(arguments: argparse.Namespace) -> int:
    from edge.cli import models  # noqa: PLC0415

    return _show(arguments, models.activate(load(arguments.config), arguments.bundle))


def _rollback(arguments: argparse.Namespace) -> int:
    from edge.cli import models  # noqa: PLC0415

    return _show(arguments, models.rollback(load(arguments.config)))


def _remove(arguments: argparse.Namespace) -> int:
    from edge.cli import models  # noqa: PLC0415

    return _show(arguments, models.remove(load(arguments.config), arguments.bundle))


def _sign(arguments: argparse.Namespace) -> int:
    from edge.models.signature import sign  # noqa: PLC0415

    return _show(
        arguments, {"signed": str(arguments.bundle), "key": sign(arguments.bundle, arguments.key)}
    )


def _edgetpu(arguments: argparse.Namespace) -> int:
    from edge.models.edgetpu import add  # noqa: PLC0415

    return _show(arguments, add(arguments.bundle, arguments.compiled, arguments.out))


def _publish(arguments: argparse.Namespace) -> int:
    from edge.models.transfer import publisher  # noqa: PLC0415

    return _show(
        arguments,
        publisher.publish(
            load(arguments.config),
            arguments.bundle,
            arguments.to,
            credential_of(arguments.config or DEFAULT_CONFIG),
        ),
    )


def _withdraw(arguments: argparse.Namespace) -> int:
    from edge.models.transfer import publisher  # noqa: PLC0415

    stored = credential_of(arguments.config or DEFAULT_CONFIG)
    return _show(arguments, publisher.withdraw(load(arguments.config), arguments.to, stored))


def _show(arguments: argparse.Namespace, report: dict[str, Any]) -> int:
    if arguments.json:
        print(json.dumps(report))
    else:
        _table(("what", "value"), list(_flat(report)))
    return 0


def _ask(arguments: argparse.Namespace, command: str, **fields: object) -> dict[str, Any]:
    from edge.daemon.control.unix_socket import ask  # noqa: PLC0415

    return ask(load(arguments.config).control.socket, command, **fields)


_HEAD: Final = ("outcome", "malignant", "threshold", "ms", "result id / reason")


def _row(message: dict[str, Any]) -> tuple[object, ...]:
    took = f"{message['timing_ms']['total']:.0f}"
    if message["outcome"] == "rejected":
        return ("rejected", "", "", took, "; ".join(message["gate"]["reasons"]))
    score, decision = message["score"], message["decision"]
    return (
        message["outcome"],
        f"{score['malignant']:.3f}",
        f"{decision['threshold']:.3f}",
        took,
        message["result_id"],
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    cells = [[str(cell) for cell in row] for row in (head, *rows)]
    whole = [
        row for row in cells if len(row) == len(head)
    ]  # a short row ends in a sentence that may be longer than its column
    widths = [max(len(row[column]) for row in whole) for column in range(len(head))]
    for row in cells:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip()
        )


def _flat(report: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in report.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", ", ".join(map(str, value)) if isinstance(value, list) else value


def _since(text: str | None) -> tuple[int, float]:
    if text is None:
        return 0, 0.0
    from edge.storage.ledger.queries import parse_since  # noqa: PLC0415

    try:
        return parse_since(text)
    except ValueError as error:
        make_parser().error(f"--{error}")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        msg = f"found {number}, expected 1 or more"
        raise argparse.ArgumentTypeError(msg)
    return number


if __name__ == "__main__":
    sys.exit(main())
