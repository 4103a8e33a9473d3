"""The model card, after Mitchell et al. (2019): every number comes from the run."""

import textwrap
from importlib.resources import files
from typing import Final

from train import wording
from train.evaluation import verdict
from train.reporting import tables
from train.reporting.tables import Numbers

TEMPLATES: Final = files("train.reporting") / "templates"
"""The folder of the texts that numbers are filled into."""
CARD: Final = (TEMPLATES / "model-card.md").read_text("utf-8")
_EASIER: Final = (
    " Patients held out of the training side of CBIS-DDSM are easier than the official test set: "
    "a model that reached .85 on such patients"
    " reached .73 there. The rows are not to be compared as if they stood on one list."
)
ANCHORS_NOTES: Final = {
    "held out": "The rows of this model are on patients whom its own split held out, those of "
    "others on the official test set of"
    " CBIS-DDSM." + _EASIER,
    "given": "The rows of this model are on the test patients that the data set itself names, "
    "those of others on the official test"
    " set of CBIS-DDSM: they stand on one list only where the data are CBIS-DDSM, with masses "
    "and calcifications.",
    "both": "The rows of this model are on test patients that a data set names and on some whom "
    "its own split held out, those of others"
    " on the official test set of CBIS-DDSM." + _EASIER,
}
"""Notes by `data.test_side` of the evaluation."""


def card(notes: Numbers, history: Numbers, measured: Numbers, exported: Numbers) -> str:
    """Write the model card in Markdown."""
    recipe, test, sides = notes["recipe"], measured["test"], notes["split"]
    point = measured["operating_points"][measured["default_operating_point"]]
    return CARD.format(
        name=recipe["name"],
        notice=wording.NOTICE,
        summary=recipe["summary"],
        height=recipe["input"]["height"],
        width=recipe["input"]["width"],
        quantization=f"{measured['quantization']} weights",
        size=tables.megabytes(exported["bytes"]),
        intended_use=textwrap.fill(wording.INTENDED_USE, 130),
        data=", ".join(f"`{source}`" for source in sources(notes)),
        images=sum(side["images"] for side in sides.values()),
        patients=sum(side["patients"] for side in sides.values()),
        split=tables.split(notes).markdown(),
        refused=len(notes["refused"]) or "No",
        about_data=exported["about_data"].strip(),
        test_patients=test["patients"],
        test_images=test["images"],
        test_refused=measured["refused"],
        scores=tables.scores(test).markdown(),
        threshold=point["threshold"],
        confusion=tables.confusion(test["confusion"]).markdown(),
        operating_points=tables.operating_points(measured).markdown(),
        band_low=point["band_low"],
        band_high=point["band_high"],
        decision=tables.decision(measured).markdown(),
        verdict=_verdict(measured),
        screening=textwrap.fill(wording.SCREENING, 130),
        in_screening=tables.in_screening(measured).markdown(),
        promise=_section("", tables.promise(measured), wording.PROMISE),
        kinds=_section("Film and digital", tables.domains(measured), wording.DOMAINS)
        + _section("Normal breasts", tables.normal(measured), wording.NORMAL)
        + _section("Digital mammograms", tables.digital(measured), digital_note(measured))
        + _section("Films, breasts and exams", tables.exams(measured), wording.EXAMS)
        + _section(
            "The last bundle on the same films", tables.against(measured), against_note(measured)
        ),
        chosen="" if recipe.get("dense") else "the epoch, ",
        anchors=tables.anchors(measured).markdown(),
        anchors_note=textwrap.fill(anchors_note(measured), 130),
        beside=tables.beside(measured).markdown(),
        groups=_section("Group by group", tables.groups(measured)),
        pointing=_section(
            "Does the map point at the lesion?", tables.pointing(measured), wording.POINTING
        ),
        sources=_section(
            "The same film from another source",
            tables.sources(measured["invariance"]),
            wording.SOURCES,
        )
        + _section("", tables.sources(measured["invariance_elsewhere"]), wording.ELSEWHERE),
        default_because=textwrap.fill(exported.get("default_because", ""), 130),
        export=tables.export(exported).markdown(),
        files=_section("", tables.files(exported)),
        command=notes["command"],
        training=tables.training(notes, history).markdown(),
        classes=textwrap.fill(f"- {classes(notes, measured)}", 130, subsequent_indent="  "),
        prevalence=sides["train"]["malignant"] / sides["train"]["images"],
    )


def _verdict(measured: Numbers) -> str:
    """Write the red box of what is not better than chance, as GitHub and the site have it."""
    found = verdict.sentences(measured)
    head = f"> [!CAUTION]\n> **{wording.CHANCE}**\n>\n"
    return head + "".join(f"> - {text}.\n" for text in found) + "\n" if found else ""


def sources(notes: Numbers) -> list[str]:
    """Return the data sets, as typed."""
    return [notes["data"]] if isinstance(notes["data"], str) else notes["data"]


def anchors_note(measured: Numbers) -> str:
    """Say how far this model's rows can be compared with those of others."""
    return ANCHORS_NOTES[measured.get("data", {}).get("test_side", "held out")]


def digital_note(measured: Numbers) -> str:
    """Say which digital mammograms were measured, and what was fitted on them."""
    return wording.DIGITAL.format(data=measured.get("digital", {}).get("data", ""))


def against_note(measured: Numbers) -> str:
    """Say how the comparison with another bundle is to be read."""
    same = measured.get("against", {}).get("same_split", True)
    return wording.AGAINST + ("" if same else wording.OTHER_SPLIT)


def classes(notes: Numbers, measured: Numbers) -> str:
    """Describe the two classes, and if normal mammograms are among them, as far as the data say."""
    images = sum(side["images"] for side in notes["split"].values())
    known = measured.get("data", {"normal": 0, "unknown": images})
    if known["normal"]:
        found = (
            f"{known['normal']} of the {images} mammograms are normal and count as benign: "
            f"`benign` means a benign finding or none"
        )
    elif known["unknown"]:
        found = (
            f"The data do not say what {known['unknown']} of the {images} mammograms show: "
            f"normal ones may be among the benign"
        )
    else:
        found = (
            "No normal mammogram was in training or among the test patients: what `benign` means "
            "on one is "
        ) + (
            'said only under "Digital mammograms"'
            if measured.get("digital", {}).get("normal")
            else "untested"
        )
    return f"There are two classes, benign and malignant finding. {found}."


def _section(title: str, table: tables.Table, text: str = "") -> str:
    """Write a section with its table; nothing if the table has no rows."""
    if not table.rows:
        return ""
    head = f"### {title}\n\n" if title else ""
    return head + (textwrap.fill(text, 130) + "\n\n" if text else "") + table.markdown() + "\n\n"
