"""The tables of how the model was made: data, training and exported files."""

from collections.abc import Iterable

from train.data.index import SIDES
from train.reporting.tables.table import Numbers, Table, interval, megabytes


def split(notes: Numbers) -> Table:
    """Count images, malignant images and patients of each side."""
    names = ("images", "malignant", "patients")
    return Table(
        ("side", *names),
        [(side, *(str(notes["split"][side][name]) for name in names)) for side in SIDES],
    )


def training(notes: Numbers, history: Numbers) -> Table:
    """List phases or steps, what was kept of them, durations and versions."""
    recipe = notes["recipe"]
    times = [
        (f"{name.removesuffix('_s').replace('_', ' ')}, seconds", str(value))
        for name, value in notes["times"].items()
    ]
    rows = [
        *(_by_step(recipe, history) if recipe.get("dense") else _by_epoch(recipe, history)),
        *times,
        ("seed", str(recipe["seed"])),
        *notes["versions"].items(),
    ]
    return Table(("what", "value"), rows)


def _by_epoch(recipe: Numbers, history: Numbers) -> list[tuple[str, str]]:
    first = (recipe.get("crops") or {}).get("phases", ())
    stages = [("phases on pieces of mammograms", _phases(first))] if first else []
    epochs = history.get("epochs", ())
    kept = f"{history['best_epoch']} of {len(epochs)}, by validation AUC" if epochs else ""
    return [
        *stages,
        ("phases", _phases(recipe["phases"])),
        *([("kept epoch", kept)] if kept else []),
    ]


def _by_step(recipe: Numbers, history: Numbers) -> list[tuple[str, str]]:
    dense, averages = recipe["dense"], history.get("averages")
    rows = [
        (
            "training",
            (
                f"{dense['steps']} steps of {recipe['batch_size']} pieces, "
                f"{dense['height']} x {dense['width']} pixels"
            ),
        ),
        (
            "learning rate",
            f"{dense['learning_rate']:g}, of the head {dense['head_learning_rate']:g}",
        ),
        ("kept", "the moving average of the weights after the last step"),
    ]
    if epochs := history.get("epochs"):
        first, last = epochs[0], epochs[-1]
        rows.append(("loss of the first and the last steps", f"{_loss(first)}; {_loss(last)}"))
    if averages:
        rows.append(
            (
                "AUC with the averages beside the map",
                (
                    f"{averages['train_auc']:.3f} on training, "
                    f"{averages['val_auc']:.3f} on validation films"
                ),
            )
        )
    return rows


def _loss(steps: Numbers) -> str:
    """Write the loss of some steps, and its parts."""
    parts = ", ".join(f"{name} {steps[name]:.3f}" for name in ("lesion", "malignant", "piece"))
    return f"{steps['loss']:.3f} ({parts})"


def _phases(phases: Iterable[Numbers]) -> str:
    return ", ".join(
        f"{phase['name']} {phase['epochs']} epochs at {phase['learning_rate']:g}"
        for phase in phases
    )


def export(exported: Numbers) -> Table:
    """Describe the default file."""
    agreement = exported["agreement"]
    rows = [
        ("bundle", exported["bundle_id"]),
        ("size of the model file", megabytes(exported["bytes"])),
        (
            "largest difference from Keras, raw",
            f"{agreement['max_difference']:.5f} over {agreement['images']} images",
        ),
        ("mean difference from Keras", f"{agreement['mean_difference']:.5f}"),
        ("test AUC, exported minus Keras", f"{agreement['test_auc_change']:+.4f}"),
        *(
            (f"{side} images refused by the input gate", f"{share:.2%}")
            for side, share in exported["gate"].items()
        ),
    ]
    if other := agreement.get("max_difference_tflite_runtime"):
        rows.append(("largest difference of tflite-runtime from litert", f"{other:.1e}"))
    if unseen := exported.get("gate_on_unseen"):
        rows.append(
            (
                "other pictures caught, each by a gate not fitted on it",
                f"{unseen['others_caught']:.1%} of {unseen['others']}",
            )
        )
        rows.append(
            (
                "mammograms refused, each by a gate not fitted on it",
                f"{unseen['mammograms_refused']:.2%} of {unseen['mammograms']}",
            )
        )
    return Table(("what", "value"), rows)


def files(exported: Numbers) -> Table:
    """List parity with Keras and cost of every exported file that was tried."""
    rows = []
    for file in exported.get("files", ()):
        parity, cost = file.get("parity", {}).get("test"), file.get("cost", {})
        drop = (
            f"{parity['auc_drop']:+.4f} ({interval(parity['auc_drop_interval_95'], 4)})"
            if parity
            else "-"
        )
        agreement = (
            (f"{parity['decision_flips']:.1%}", f"{parity['mean_difference']:.4f}")
            if parity
            else ("-", "-")
        )
        time = "; ".join(f"{runtime} {found['median_ms']:g} ms" for runtime, found in cost.items())
        memory = "; ".join(
            f"{runtime} {found['memory_mb']:g} MB"
            for runtime, found in cost.items()
            if found["memory_mb"]
        )
        shipped = "yes" if file["shipped"] else f"no: {'; '.join(file['failures'])}"
        rows.append(
            (
                f"{file['file']} ({file.get('quantization', '?')})",
                drop,
                *agreement,
                megabytes(file.get("bytes", 0)),
                time,
                memory,
                shipped,
            )
        )
    head = (
        "file",
        "AUC drop on test films",
        "decision flips",
        "mean difference",
        "size",
        "one inference, one thread",
        "memory",
        "shipped",
    )
    return Table(head, rows)
