"""The command `mammo-edge`."""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from edge import NOTICE, __version__
from edge.errors import MammoEdgeError, StartupError
from edge.settings import DEFAULT_CONFIG, Settings, load, read_environment

EXIT_FAILED: Final = 1
EXIT_CONFIG: Final = 78


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 done, 1 failed, 2 usage, 78 configuration or model unusable."""
    arguments = _parser().parse_args(argv)
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mammo-edge", description="Classify mammograms on the edge and publish the results over MQTT.", epilog=NOTICE
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument("--config", type=Path, metavar="PATH", help=f"configuration file (default: {DEFAULT_CONFIG})")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Callable[[argparse.Namespace], int], text: str, *, as_json: bool = True) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".", epilog=NOTICE)
        sub.add_argument(
            "--config", type=Path, metavar="PATH", default=argparse.SUPPRESS, help=f"configuration file (default: {DEFAULT_CONFIG})"
        )
        if as_json:
            sub.add_argument("--json", action="store_true", help="print JSON for programs instead of a table for people")
        sub.set_defaults(command=command)
        return sub

    add("run", _run, "be the daemon: watch the inbox and the broker, publish results, until SIGTERM", as_json=False)
    add("check", _check, "check configuration, folders, model and known answers without starting anything")
    classify = add("classify", _classify, "classify files and folders here and now; needs no configuration, broker or daemon")
    classify.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a DICOM, PNG, JPEG, TIFF, ... file, or a folder of them")
    classify.add_argument("--bundle", type=Path, metavar="DIR", help="model bundle (default: the shipped one)")
    classify.add_argument("--explain", type=Path, metavar="DIR", help="also draw each image into DIR: crop, model input, map, score")
    bench = add("bench", _bench, "time each step on this machine with this bundle: decode, prepare, infer, beside the bare network")
    bench.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="files and folders (default: the bundle's own pictures)")
    bench.add_argument("--bundle", type=Path, metavar="DIR", help="model bundle (default: the shipped one)")
    bench.add_argument("--rounds", type=_positive, default=10, metavar="N", help="how often each file is examined (default: 10)")
    add("status", _status, "ask the running daemon how it is")
    results = add("results", _results, "list published results from the ledger, newest last, daemon running or not")
    results.add_argument("--since", metavar="SEQ|TIME", help="only results after this sequence number, or since this time (ISO 8601)")
    results.add_argument(
        "--limit", type=_positive, default=None, metavar="N", help="at most N, the newest (default: 20 in a table, all as JSON)"
    )
    retry = add("retry", _retry, "have images examined again, under a new result id; their files must still be in done or failed")
    retry.add_argument("ids", nargs="+", metavar="ID", help="an image id or result id, or its beginning")
    add("reload", _reload, "have the running daemon read its configuration again and take the model it names, after proving it")
    model = commands.add_parser("model", help="look after model bundles", description="Look after model bundles.")
    models = model.add_subparsers(required=True, metavar="COMMAND")
    verify = models.add_parser("verify", help="check a bundle: hashes, load, shapes, known answers")
    verify.add_argument("--config", type=Path, metavar="PATH", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    verify.add_argument("bundle", nargs="?", type=Path, metavar="DIR", help="the bundle's folder (default: the shipped one)")
    verify.add_argument("--json", action="store_true", help="print JSON for programs")
    verify.set_defaults(command=_verify)
    return parser


def _run(arguments: argparse.Namespace) -> int:
    from edge import app  # noqa: PLC0415 - commands that only ask need none of it

    overrides = read_environment()
    app.run(load(arguments.config, overrides), lambda: load(arguments.config, overrides))
    return 0


def _check(arguments: argparse.Namespace) -> int:
    from edge import check  # noqa: PLC0415

    findings = list(check.findings(load(arguments.config)))
    if arguments.json:
        print(json.dumps([{"what": what, "ok": ok, "detail": detail} for what, ok, detail in findings]))
    else:
        _table(("", "what", "detail"), [("ok" if ok else "FAILED", what, detail) for what, ok, detail in findings])
    return 0 if all(ok for _, ok, _ in findings) else EXIT_CONFIG


def _classify(arguments: argparse.Namespace) -> int:
    from edge import classify  # noqa: PLC0415

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
    from edge import bench  # noqa: PLC0415

    settings = load(arguments.config) if arguments.config else Settings()
    machine, files = bench.bench(arguments.paths, settings, arguments.bundle, arguments.rounds)
    if arguments.json:
        print(json.dumps(machine | {"files": [bench.as_json(measured) for measured in files]}))
        return 0
    rows = [(file.path, *_bench_row(file.rejected, file.steps.values(), file.megapixels, file.overhead)) for file in files]
    _table(("file", "MP", *bench.STEPS, "infer / bare"), rows)
    print(f"milliseconds: median (lowest-highest) of {arguments.rounds} rounds", *machine.values(), NOTICE, sep="\n")
    return 0


def _bench_row(rejected: str | None, steps: Iterable[object], megapixels: float, overhead: float) -> tuple[object, ...]:
    return (f"{megapixels:.1f}", rejected) if rejected else (f"{megapixels:.1f}", *steps, f"{1 + overhead:.3f}")


def _status(arguments: argparse.Namespace) -> int:
    report = _ask(arguments, "status")
    if arguments.json:
        print(json.dumps(report))
        return 0
    _table(("what", "value"), list(_flat(report)))
    return 0


def _results(arguments: argparse.Namespace) -> int:
    from edge.ledger.queries import open_queries  # noqa: PLC0415

    after, since = _since(arguments.since)
    with open_queries(load(arguments.config).state.path) as queries:
        if arguments.json:
            for payload in queries.results(after, since, arguments.limit) if arguments.limit else queries.each_result(after, since):
                print(payload.decode())
            return 0
        payloads = queries.results(after, since, arguments.limit or 20)
    messages = [json.loads(payload) for payload in payloads]
    _table(
        ("seq", "received", *_HEAD, "image"), [(m["seq"], m["source"]["received_at"][:19], *_row(m), m["image_id"][:16]) for m in messages]
    )
    return 0


def _retry(arguments: argparse.Namespace) -> int:
    answer = _ask(arguments, "retry", images=arguments.ids)
    print(json.dumps(answer) if arguments.json else "\n".join(f"{image_id} is examined again" for image_id in answer["images"]))
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


def _verify(arguments: argparse.Namespace) -> int:
    from edge import classify  # noqa: PLC0415

    report = classify.verify_bundle(load(arguments.config) if arguments.config else Settings(), arguments.bundle)
    if arguments.json:
        print(json.dumps(report))
    else:
        _table(("what", "value"), list(_flat(report)))
    return 0


def _ask(arguments: argparse.Namespace, command: str, **fields: object) -> dict[str, Any]:
    from edge.control import ask  # noqa: PLC0415

    return ask(load(arguments.config).control.socket, command, **fields)


_HEAD: Final = ("outcome", "malignant", "threshold", "ms", "result id / reason")


def _row(message: dict[str, Any]) -> tuple[object, ...]:
    took = f"{message['timing_ms']['total']:.0f}"
    if message["outcome"] == "rejected":
        return ("rejected", "", "", took, "; ".join(message["gate"]["reasons"]))
    score, decision = message["score"], message["decision"]
    return (message["outcome"], f"{score['malignant']:.3f}", f"{decision['threshold']:.3f}", took, message["result_id"])


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    cells = [[str(cell) for cell in row] for row in (head, *rows)]
    whole = [row for row in cells if len(row) == len(head)]  # a short row ends in a sentence that may be longer than its column
    widths = [max(len(row[column]) for row in whole) for column in range(len(head))]
    for row in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip())


def _flat(report: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in report.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", ", ".join(map(str, value)) if isinstance(value, list) else value


def _since(text: str | None) -> tuple[int, float]:
    if text is None:
        return 0, 0.0
    from edge.ledger.queries import parse_since  # noqa: PLC0415

    try:
        return parse_since(text)
    except ValueError as error:
        _parser().error(f"--{error}")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        msg = f"found {number}, expected 1 or more"
        raise argparse.ArgumentTypeError(msg)
    return number


if __name__ == "__main__":
    sys.exit(main())
