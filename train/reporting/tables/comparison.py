"""The tables that set the model beside others, people and shortcuts."""

from typing import Final

from train.evaluation import subgroups
from train.reporting.tables.table import Numbers, Table, interval, number
from train.wording import with_interval

ANCHORS: Final = (
    (
        "radiologist's own BI-RADS: mass lesions / all lesions / whole images",
        "official test",
        "AUC .832 / .790 / .769",
    ),
    (
        "best published, whole image, EfficientNet at 1152 x 896: single view / two views",
        "official test",
        "AUC .834 / .866",
    ),
    ("fine-tuned VGG16 on lesion crops", "official test", "AUC .844"),
    ("MobileNetV2 at 512 x 512, whole image", "official test", "accuracy 66.5 %"),
)


ON: Final = {
    "held out": "held-out patients",
    "given": "test patients that the data name",
    "both": "test patients, some held out",
}
"""The patients that the model is measured on, by `data.test_side` of the evaluation."""


def anchors(measured: Numbers) -> Table:
    """Set the model beside what others reach."""
    test, breasts, birads = (
        measured["test"],
        measured["breasts"].get("breasts with several views"),
        measured["birads"],
    )
    on = ON[measured.get("data", {}).get("test_side", "held out")]
    ours = [("**this model**, whole image, single film", on, f"AUC {with_interval(test, 'auc')}")]
    ours += [
        (
            f"**this model**, films whose lesions are: {row['group']}",
            on,
            f"AUC {with_interval(row, 'auc')}",
        )
        for row in measured["subgroups"].get(subgroups.LESION_TYPE, ())
    ]
    ours += [
        (f"**this model**, films of the set {row['group']}", on, f"AUC {with_interval(row, 'auc')}")
        for row in measured["subgroups"].get(subgroups.DATA_SET, ())
    ]
    if measured.get("lesions"):
        pieces = with_interval(measured["lesions"]["test"], "auc")
        ours.append(
            ("**the first stage of its training**, pieces about lesions", on, f"AUC {pieces}")
        )
    if breasts:
        ours.append(
            (
                "**this model**, views of one breast averaged",
                on,
                f"AUC {with_interval(breasts, 'auc')}",
            )
        )
    if birads:
        which = (
            "the films of this model's row"
            if birads["images"] == test["images"]
            else f"those {birads['images']} films that have one"
        )
        ours.append(
            (
                f"radiologist's own BI-RADS on {which}",
                on,
                f"AUC {with_interval(birads['radiologist'], 'auc')}",
            )
        )
    return Table(("what", "on", "score"), [*ANCHORS, *ours])


def beside(measured: Numbers) -> Table:
    """Set the model beside the radiologist, shortcuts and shuffled labels."""
    birads, permutation = measured["birads"], measured["permutation"]
    rows = [("model", with_interval(measured["test"], "auc"))]
    if birads:
        rows.append(
            (
                f"radiologist's BI-RADS ({birads['rule']}, on {birads['incomplete']} films)",
                with_interval(birads["radiologist"], "auc"),
            )
        )
        rows.append(
            ("the same with BI-RADS 0 as the lowest grade", number(birads["auc_zero_lowest"]))
        )
        if birads["images"] < measured["test"]["images"]:
            rows.append(
                (
                    f"model on the {birads['images']} films that have a BI-RADS",
                    with_interval(birads["model"], "auc"),
                )
            )
    texts = {
        "thumbnail": "logistic regression on a 16 x 16 thumbnail",
        "brightness": "logistic regression on brightness and contrast",
        "scanner": "logistic regression on the scanner's letter",
    }
    rows += [
        (texts[name], with_interval(found, "auc")) for name, found in measured["shortcuts"].items()
    ]
    rows.append(
        (
            f"linear probe on {permutation['inputs']}, true labels",
            number(permutation["auc_true_labels"]),
        )
    )
    shuffled = f"{permutation['auc_mean']:.3f} (95 % of them {interval(permutation['auc_95'])})"
    rows.append(
        (
            (
                "the same, labels shuffled among the training patients, "
                f"mean of {permutation['runs']} runs"
            ),
            shuffled,
        )
    )
    return Table(("what", "AUC on the test films"), rows)
