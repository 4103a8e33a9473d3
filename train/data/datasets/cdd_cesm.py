"""
CDD-CESM: 1,003 low-energy images of contrast-enhanced mammography, 326 women, as JPEG.

A low-energy image is taken after the injection of iodine, below its absorption edge, and is read
like a digital mammogram.

Licence: CC BY 4.0 (Khaled R. et al., Sci Data 9:122, 2022; data: doi 10.7937/29kw-ae92, from The
Cancer Imaging Archive).

Layout: the table, the outlines and the two folders of images, in the folder or up to two below:

    Radiology-manual-annotations.xlsx          Image_name, Patient_ID, Side, Type, View, Breast
    density (ACR), BIRADS, Findings, Pathology Classification/ Follow up, ...
    Radiology_hand_drawn_segmentations_v2.csv  outlines as VGG Image Annotator writes them
    Low energy images of CDD-CESM/P1_L_DM_MLO.jpg
    Subtracted images of CDD-CESM/P1_L_CM_MLO.jpg

Traps:
- The subtracted images show the uptake of contrast agent and are no mammograms: they, their rows
  (Type CESM) and their outlines are left out. The archive's counts of findings hold both kinds.
- An image with several findings has several rows: it is malignant if one of them is.
- `Normal` is `benign` here, with `normal` as its abnormality: the classes are malignant or not.
- Outlines have no label of their own: they take the film's. Some names of images in their file end
  in ` .jpg`, with a blank.
- 159 of all images are after an operation, 8 after chemotherapy.
- One hospital, two machines; women who were sent for more than screening.
- `cdd-cesm` is what our own models are chosen by: a model that learns from it must be judged on
  something else.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from edge.domain import Box
from train.data.datasets._digital import LATERALITY, density, kinds, there
from train.data.datasets._table import Form, Row, rows
from train.data.index import Film, Index, Label, Lesion
from train.errors import DataError

IMAGES: Final = "Low energy images of CDD-CESM"
EXPECTED: Final = f"CDD-CESM (Radiology-manual-annotations.xlsx beside `{IMAGES}`)"
PATHOLOGY: Final = "Pathology Classification/ Follow up"
LABELS: Final[Mapping[str, Label]] = {
    "normal": "benign",
    "benign": "benign",
    "malignant": "malignant",
}
KINDS: Final[Mapping[str, str]] = {
    r"\bmass(es)?\b(?! enhancement)": "mass",
    "calcification": "calcification",
    "distortion": "distortion",
    "asymmetr": "asymmetry",
}
"""Kinds of lesions by the words in the column Findings."""
_NEEDED: Final = ("Image_name", "Patient_ID", "Side", "Type", "View", PATHOLOGY)
_TABLE: Final = re.compile(r"radiology[-_ ]manual[-_ ]annotations\.(xlsx|csv)", re.IGNORECASE)
_OUTLINES: Final = re.compile(
    r"radiology[-_ ]hand[-_ ]drawn[-_ ]segmentations(_v2)?\.csv", re.IGNORECASE
)


def recognises(source: Path) -> bool:
    """Tell if the folder of low-energy images is there, looking two folders deep."""
    return source.is_dir() and _images(source) is not None


def read(folder: Path) -> Index:
    """
    Read the low-energy images of CDD-CESM.

    Raises:
        DataError: table or images are missing, or a value cannot be right.
    """
    images = _images(folder)
    table = images and _file(images, folder, _TABLE)
    if images is None or table is None:
        msg = f"{folder}: no Radiology-manual-annotations.xlsx, expected it beside `{IMAGES}`"
        raise DataError(msg)
    outlines = _file(images, folder, _OUTLINES)
    boxes = _boxes(outlines) if outlines else {}
    its: dict[str, list[Row]] = defaultdict(list)
    for row in rows(table, _NEEDED, form=Form(sheet="all")):
        if row.needed("Type").upper() == "DM":
            its[_stem(row.needed("Image_name"))].append(row)
    films = [
        _film(folder, images / f"{name}.jpg", found, boxes.get(name, []))
        for name, found in sorted(its.items())
    ]
    return Index(str(folder), there(folder, films))


def _images(folder: Path) -> Path | None:
    patterns = (IMAGES, f"*/{IMAGES}", f"*/*/{IMAGES}")
    return next((path for pattern in patterns for path in sorted(folder.glob(pattern))), None)


def _file(images: Path, folder: Path, name: re.Pattern[str]) -> Path | None:
    """Find a file beside the images or above, up to the folder that was named."""
    for place in images.parents:
        found = sorted(path for path in place.iterdir() if name.fullmatch(path.name))
        if found or place == folder:
            return found[0] if found else None
    return None


def _stem(name: str) -> str:
    return re.sub(r"\s*\.jpg$", "", name.strip(), flags=re.IGNORECASE)


def _film(folder: Path, path: Path, its: list[Row], boxes: list[Box]) -> Film:
    first, labels = its[0], {_label(row) for row in its}
    side = first.needed("Side").upper()
    if side not in LATERALITY:
        first.refuse("Side", side, "L or R")
    found = sorted({kind for row in its for kind in _kinds(row)})
    label: Label = "malignant" if "malignant" in labels else "benign"
    normal = all(row.needed(PATHOLOGY).lower() == "normal" for row in its)
    return Film(
        path=path,
        name=path.relative_to(folder).as_posix(),
        label=label,
        patient=f"cesm-{first.needed('Patient_ID').removesuffix('.0')}",
        laterality=LATERALITY[side],
        view=first.needed("View").upper(),
        abnormality="normal" if normal else kinds(found),
        density=density(first.text("Breast density (ACR)")),
        birads=tuple(
            int(grade) for row in its for grade in re.findall(r"\d", _whole(row.text("BIRADS")))
        ),
        lesions=tuple(
            Lesion(label=label, abnormality=found[0] if len(found) == 1 else None, box=box)
            for box in boxes
        ),
        domain="digital",
    )


def _whole(text: str | None) -> str:
    """Cut off the decimal that Excel adds to a number."""
    return (text or "").removesuffix(".0")


def _label(row: Row) -> Label:
    text = row.text(PATHOLOGY)
    label = LABELS.get((text or "").lower())
    if label is None:
        row.refuse(PATHOLOGY, text, "Normal, Benign or Malignant")
    return label


def _kinds(row: Row) -> Iterator[str]:
    text = (row.text("Findings") or "").lower()
    return (kind for words, kind in KINDS.items() if re.search(words, text))


def _boxes(path: Path) -> Mapping[str, list[Box]]:
    """Read the boxes about the outlines of each image, by its name without ending."""
    found: dict[str, list[Box]] = defaultdict(list)
    for row in rows(path, ("#filename", "region_shape_attributes")):
        text = row.text("region_shape_attributes") or "{}"
        try:
            box = _box(json.loads(text))
        except (ValueError, TypeError, KeyError, AttributeError):
            row.refuse("region_shape_attributes", text, "a shape as VGG Image Annotator writes it")
        if box is not None:
            found[_stem(row.needed("#filename"))].append(box)
    return found


def _box(shape: Mapping[str, Any]) -> Box | None:
    """Bound a shape with a box; None for a point, a line without area or no shape at all."""
    name = shape.get("name")
    if name in ("polygon", "polyline"):
        x, y = shape["all_points_x"], shape["all_points_y"]
        ends = min(x), min(y), max(x), max(y)
    elif name in ("circle", "ellipse"):
        rx, ry = shape.get("rx", shape.get("r", 0)), shape.get("ry", shape.get("r", 0))
        ends = shape["cx"] - rx, shape["cy"] - ry, shape["cx"] + rx, shape["cy"] + ry
    elif name == "rect":
        right, bottom = shape["x"] + shape["width"], shape["y"] + shape["height"]
        ends = shape["x"], shape["y"], right, bottom
    else:
        return None
    xmin, ymin, xmax, ymax = (max(0.0, float(end)) for end in ends)
    return Box(xmin, ymin, xmax, ymax) if xmin < xmax and ymin < ymax else None
