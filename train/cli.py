"""`mammo-train`: from a folder of mammograms to a measured model bundle."""

import argparse
import os
import re
import shlex
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Final

from edge.errors import MammoEdgeError
from train import recipe
from train.data import datasets
from train.errors import TrainError
from train.run_folder import RunFolder

DESCRIPTION: Final = """\
Train, measure and export a model for mammo-edge.

  mammo-train fit seed --data index.csv --out runs/seed
  mammo-train export runs/seed
  mammo-train evaluate runs/seed
  mammo-train report runs/seed

--data is an index CSV with the columns path, label (benign or malignant) and patient, a folder with Benign/ and
Malignant/, or CBIS-DDSM, INbreast or Mini-MIAS as their archives ship them. Given several times, they are pooled.
No patient ever stands on two sides of the split.
Research software, not a medical device.
"""  # noqa: E501
EXIT_FAILED: Final = 1
EXIT_INTERRUPTED: Final = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 = done, 1 = it could not be done and stderr says why, 2 = wrong usage."""
    typed = sys.argv[1:] if arguments is None else list(arguments)
    options = parser().parse_args(typed)
    options.typed = shlex.join(["mammo-train", *typed])
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        options.run(options)
    except MammoEdgeError as error:
        print(f"mammo-train: {error}", file=sys.stderr)
        return EXIT_FAILED
    except ModuleNotFoundError as error:
        print(
            f"mammo-train: {error.name} is not installed: pip install 'mammo-edge[train]'",
            file=sys.stderr,
        )
        return EXIT_FAILED
    except OSError as error:
        print(f"mammo-train: {error.filename or ''}: {error.strerror or error}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        print(
            "mammo-train: interrupted; the same command goes on from where it stopped",
            file=sys.stderr,
        )
        return EXIT_INTERRUPTED
    return 0


def parser() -> argparse.ArgumentParser:
    """Every command and option."""
    top = argparse.ArgumentParser(
        "mammo-train", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    _add_index(commands)
    _add_prepare(commands)
    _add_bench(commands)
    _add_fit(commands)
    _add_export(commands)
    _add_evaluate(commands)
    _add_calibrate(commands)
    _add_report(commands)
    return top


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, text: str
) -> argparse.ArgumentParser:
    return commands.add_parser(name, help=text, description=text)


def _add_recipe_and_data(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "recipe",
        metavar="RECIPE",
        help=f"{', '.join(recipe.names())}, or a Python file of your own that sets RECIPE",
    )
    command.add_argument(
        "--data",
        type=Path,
        required=True,
        action="append",
        metavar="DATA",
        help="data set, see above; several are pooled",
    )
    command.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder of this run; made where needed",
    )


def _add_index(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = _command(
        commands, "index", "Write what a data set says as an index CSV, to look at or to edit"
    )
    command.add_argument("data", type=Path, metavar="DATA", help="a data set, as for --data")
    command.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FILE",
        help="the CSV to write; lesion boxes go beside it",
    )
    command.set_defaults(run=_index)


def _add_prepare(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = _command(
        commands,
        "prepare",
        "Decode and prepare all images once, in parallel (fit does this too; resumable)",
    )
    _add_recipe_and_data(command)
    command.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="do it on a Dask cluster: tcp://host:8786, or `local` to start one here",
    )
    command.set_defaults(run=_prepare)


def _add_bench(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = _command(
        commands,
        "bench",
        "Images a second of preparing, of the input pipeline and of the training step",
    )
    _add_recipe_and_data(command)
    command.add_argument(
        "--batches",
        type=_positive,
        default=20,
        metavar="N",
        help="batches the clock runs for (default: %(default)s)",
    )
    command.set_defaults(run=_bench)


def _add_fit(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = _command(
        commands,
        "fit",
        "Train a recipe, or go on with it; keep the epoch best on the validation patients",
    )
    _add_recipe_and_data(command)
    command.add_argument(
        "--weights",
        default="imagenet",
        metavar="FILE",
        help=(
            "imagenet (the default, fetched by Keras), none, or a "
            "file of MobileNetV2 without its top"
        ),
    )
    command.add_argument(
        "--epochs",
        type=_positive,
        metavar="N",
        help="epochs in each phase, instead of the recipe's",
    )
    command.add_argument(
        "--seed",
        type=int,
        metavar="N",
        help="of split, weights and augmentation, instead of the recipe's",
    )
    command.add_argument(
        "--devices",
        type=_positive,
        metavar="N",
        help="share every batch out over N GPUs (default: all there are, or the CPU)",
    )
    command.add_argument(
        "--restart",
        action="store_true",
        help="train from the start, where an interrupted run would go on",
    )
    command.set_defaults(run=_fit)


def _add_run(command: argparse.ArgumentParser) -> None:
    command.add_argument("run_folder", type=Path, metavar="RUN", help="the --out of `fit`")


def _add_data_override(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--data",
        type=Path,
        action="append",
        metavar="DATA",
        help="where the data are now, if not where `fit` found them",
    )


def _add_evaluate(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = _command(
        commands,
        "evaluate",
        "Score the held-out test patients with the exported bundle: RUN/evaluation",
    )
    _add_run(command)
    _add_data_override(command)
    command.add_argument(
        "--bundle",
        type=Path,
        metavar="DIR",
        help="what to measure (default: RUN/bundle); its default file is",
    )
    command.add_argument(
        "--invariance",
        type=int,
        default=100,
        metavar="N",
        help=(
            "validation films to score also as other files: smaller, darker, "
            "mirrored, ... (default: %(default)s; 0: none)"
        ),
    )
    command.add_argument(
        "--elsewhere",
        type=Path,
        metavar="DIR",
        help="mammograms from elsewhere to score as other files, too",
    )
    command.set_defaults(run=_evaluate)


def _add_export(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = _command(
        commands,
        "export",
        "Convert to TensorFlow Lite, compare with Keras, calibrate, and write a bundle",
    )
    _add_run(command)
    _add_data_override(command)
    command.add_argument(
        "--bundle", type=Path, metavar="DIR", help="where to write it (default: RUN/bundle)"
    )
    command.add_argument(
        "--bundle-version",
        default="1.0.0",
        metavar="VERSION",
        help="version in the manifest (default: %(default)s)",
    )
    command.add_argument(
        "--tflite-runtime",
        type=Path,
        metavar="PYTHON",
        help="interpreter of an environment with tflite-runtime, to compare that runtime too",
    )
    command.add_argument(
        "--about-data",
        type=Path,
        metavar="FILE",
        help=(
            "text: where the images come from, their licence, their limits; goes "
            "into the bundle as ATTRIBUTION and into the model card"
        ),
    )
    command.add_argument(
        "--not-mammograms",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help=(
            "folder of pictures that are no mammograms, for the input gate to "
            "learn from; without one it has only its limits"
        ),
    )
    command.add_argument(
        "--prefer",
        choices=("float", "int8"),
        default="float",
        help="the file the daemon runs where both pass (default: %(default)s)",
    )
    command.add_argument(
        "--model",
        type=Path,
        metavar="FILE",
        help=(
            "export this Keras model of your own; RUN is then a "
            "new folder, with --recipe and --data"
        ),
    )
    command.add_argument(
        "--recipe",
        metavar="RECIPE",
        help="of --model: its input, the split and the operating point; a name or a Python file",
    )
    command.set_defaults(run=_export)


def _add_calibrate(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = _command(
        commands,
        "calibrate",
        "Fit calibration, thresholds and gate of a bundle to a "
        "site's own mammograms, without training",
    )
    command.add_argument(
        "bundle", type=Path, metavar="BUNDLE", help="folder of a model bundle; it is not changed"
    )
    command.add_argument(
        "--data",
        type=Path,
        action="append",
        metavar="DATA",
        help="mammograms of the site with their labels, as for `fit`",
    )
    command.add_argument(
        "--prevalence",
        type=_share,
        metavar="P",
        help="shift the probabilities to this share of malignant images, 0 to 1",
    )
    command.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help=(
            "takes the new bundle as DIR/bundle and the report "
            "(default: beside BUNDLE, with the suffix)"
        ),
    )
    command.add_argument(
        "--suffix",
        type=_suffix,
        default="site",
        metavar="NAME",
        help="appended to the version: 1.0.0+NAME (default: %(default)s)",
    )
    command.add_argument(
        "--not-mammograms",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="pictures on which to measure what the gate catches",
    )
    command.set_defaults(run=_calibrate)


def _add_report(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = _command(
        commands,
        "report",
        "Write RUN/report.html, one page with every number and curve, and the model card",
    )
    _add_run(command)
    command.add_argument(
        "--card",
        type=Path,
        metavar="FILE",
        help="where to write the model card (default: RUN/model-card.md)",
    )
    command.set_defaults(run=_report)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        msg = f"{number} is not positive"
        raise argparse.ArgumentTypeError(msg)
    return number


def _suffix(text: str) -> str:
    if not re.fullmatch(r"[0-9A-Za-z.-]+", text):
        msg = f"{text!r}: expected letters, digits, dots and hyphens"
        raise argparse.ArgumentTypeError(msg)
    return text


def _share(text: str) -> float:
    number = float(text)
    if not 0 < number < 1:
        msg = f"{text} is not between 0 and 1"
        raise argparse.ArgumentTypeError(msg)
    return number


# TensorFlow takes seconds to load, and `prepare`, `report` and `--help` need none: each command
# imports its own.


def _index(options: argparse.Namespace) -> None:
    from train.data import index_file  # noqa: PLC0415 - see above

    index_file.write(datasets.load(options.data), options.out)


def _prepare(options: argparse.Namespace) -> None:
    from train.data.dask import on_cluster  # noqa: PLC0415 - see above
    from train.data.parallel import on_this_machine  # noqa: PLC0415
    from train.data.prepare import prepared  # noqa: PLC0415

    index, spec, cache = (
        datasets.load(options.data),
        recipe.load(options.recipe).input,
        RunFolder(options.out).cache,
    )
    with on_cluster(options.cluster) if options.cluster else nullcontext(on_this_machine) as engine:
        prepared(index, spec, cache, engine)


def _bench(options: argparse.Namespace) -> None:
    from train.data.prepare import prepared  # noqa: PLC0415
    from train.fitting.throughput import bench  # noqa: PLC0415

    run, chosen = RunFolder(options.out), recipe.load(options.recipe)
    bench(
        chosen, prepared(datasets.load(options.data), chosen.input, run.cache), run, options.batches
    )


def _fit(options: argparse.Namespace) -> None:
    from train.fitting import fit  # noqa: PLC0415 - see above

    chosen = recipe.load(options.recipe).changed(options.epochs, options.seed)
    request = fit.Request(
        recipe=chosen,
        data=options.data,
        weights=options.weights,
        command=options.typed,
        devices=options.devices,
        restart=options.restart,
    )
    fit.fit(request, RunFolder(options.out))


def _evaluate(options: argparse.Namespace) -> None:
    from train.evaluation import evaluate  # noqa: PLC0415 - see above

    request = evaluate.Request(
        data=options.data,
        bundle=options.bundle,
        invariance=options.invariance,
        elsewhere=options.elsewhere,
    )
    evaluate.evaluate(RunFolder(options.run_folder), request)


def _export(options: argparse.Namespace) -> None:
    from train import wording  # noqa: PLC0415 - see above
    from train.exporting import export  # noqa: PLC0415 - see above

    run = RunFolder(options.run_folder)
    request = export.Request(
        data=options.data,
        bundle=options.bundle or run.bundle,
        version=options.bundle_version,
        about_data=wording.about_data(options.about_data),
        tflite_runtime=options.tflite_runtime,
        not_mammograms=options.not_mammograms,
        prefer=options.prefer,
    )
    if options.model is None:
        export.export(run, request)
        return
    if options.recipe is None or not options.data:
        msg = (
            "--model needs --recipe (its input) and --data "
            "(mammograms for calibration and known answers)"
        )
        raise TrainError(msg)
    from train.exporting import keras_model  # noqa: PLC0415 - see above

    export.export_fitted(
        keras_model.adopt(
            options.model, recipe.load(options.recipe), options.data, run, options.typed
        ),
        run,
        request,
    )


def _calibrate(options: argparse.Namespace) -> None:
    from train.recalibration import recalibrate  # noqa: PLC0415 - see above

    folder = options.bundle.resolve()
    request = recalibrate.Request(
        bundle=options.bundle,
        data=options.data,
        prevalence=options.prevalence,
        out=options.out or folder.parent / f"{folder.name}-{options.suffix}",
        suffix=options.suffix,
        not_mammograms=options.not_mammograms,
        command=options.typed,
    )
    recalibrate.calibrate_site(request)


def _report(options: argparse.Namespace) -> None:
    from train.reporting import report  # noqa: PLC0415 - see above

    run = RunFolder(options.run_folder)
    report.report(run, options.card or run.root / "model-card.md")


if __name__ == "__main__":
    sys.exit(main())
