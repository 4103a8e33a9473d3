"""
The content of a report: a measurement report by TID 1500 of PS3.16.

Each score is a measurement group (TID 1501) with the algorithm (TID 4019), its probability and its
images. The outcome as a whole, and that this is research, stand under qualitative evaluations.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from pydicom import Dataset

from edge import NOTICE
from edge.dicom.send.facts import Facts, Group
from edge.dicom.send.items import (
    SCHEME,
    Code,
    Instance,
    code,
    container,
    image,
    number,
    text,
    uidref,
)
from edge.dicom.send.uids import uid_of

TITLE: Final = Code("126000", "DCM", "Imaging Measurement Report")
LANGUAGE: Final = Code("121049", "DCM", "Language of Content Item and Descendants")
ENGLISH: Final = Code("en", "RFC5646", "English")
OBSERVER_TYPE: Final = Code("121005", "DCM", "Observer Type")
DEVICE: Final = Code("121007", "DCM", "Device")
DEVICE_UID: Final = Code("121012", "DCM", "Device Observer UID")
DEVICE_NAME: Final = Code("121013", "DCM", "Device Observer Name")
DEVICE_MODEL: Final = Code("121015", "DCM", "Device Observer Model Name")
PROCEDURE: Final = Code("121058", "DCM", "Procedure reported")
MAMMOGRAPHY: Final = Code("71651007", "SCT", "Mammography")
MEASUREMENTS: Final = Code("126010", "DCM", "Imaging Measurements")
GROUP: Final = Code("125007", "DCM", "Measurement Group")
TRACKING: Final = Code("112039", "DCM", "Tracking Identifier")
TRACKING_UID: Final = Code("112040", "DCM", "Tracking Unique Identifier")
SITE: Final = Code("363698007", "SCT", "Finding Site")
BREAST: Final = Code("76752008", "SCT", "Breast")
LATERALITY: Final = Code("272741003", "SCT", "Laterality")
SIDES: Final[Mapping[str, Code]] = {
    "L": Code("7771000", "SCT", "Left"),
    "R": Code("24028007", "SCT", "Right"),
}
ALGORITHM: Final = Code("111001", "DCM", "Algorithm Name")
ALGORITHM_VERSION: Final = Code("111003", "DCM", "Algorithm Version")
ALGORITHM_PARAMETERS: Final = Code("111002", "DCM", "Algorithm Parameters")
PROBABILITY: Final = Code("111047", "DCM", "Probability of cancer")
PERCENT: Final = Code("%", "UCUM", "Percent")
SOURCE: Final = Code("260753009", "SCT", "Source")
EVALUATIONS: Final = Code("C0034375", "UMLS", "Qualitative Evaluations")
COMMENT: Final = Code("121106", "DCM", "Comment")
OUTCOME: Final = Code("outcome", SCHEME, "Outcome at the operating point")
OPERATING_POINT: Final = Code("operating-point", SCHEME, "Operating point")
DOMAIN: Final = Code("domain", SCHEME, "Domain of the image")
MEASURED: Final = Code("measured", SCHEME, "Model was measured on this domain")
REASON: Final = Code("reason", SCHEME, "Reason for no score")

INCOMPLETE: Final = "Incomplete: not all of CC and MLO of both breasts have a score."


def content_of(facts: Facts, instances: Mapping[str, Instance]) -> Dataset:
    """
    Make the tree of a report.

    Args:
        facts: of the result.
        instances: the images that it names, by image id.

    Returns:
        The root item, with its template's name.
    """
    groups = [_group(facts, group, instances) for group in facts.groups]
    root = container(
        TITLE,
        [
            code("HAS CONCEPT MOD", LANGUAGE, ENGLISH),
            *_observer(facts),
            code("HAS CONCEPT MOD", PROCEDURE, MAMMOGRAPHY),
            *([container(MEASUREMENTS, groups)] if groups else []),
            container(EVALUATIONS, list(_evaluations(facts))),
        ],
        None,
    )
    return _by_template(root, "1500")


def _observer(facts: Facts) -> Iterator[Dataset]:
    """Name the device that reports (TID 1001, 1004)."""
    context = "HAS OBS CONTEXT"
    yield code(context, OBSERVER_TYPE, DEVICE)
    yield uidref(context, DEVICE_UID, uid_of("device", facts.ledger_id))
    yield text(context, DEVICE_NAME, facts.device)
    yield text(context, DEVICE_MODEL, f"mammo-edge. {NOTICE}")


def _evaluations(facts: Facts) -> Iterator[Dataset]:
    yield text("CONTAINS", COMMENT, NOTICE)
    yield code("CONTAINS", OUTCOME, _outcome(facts.outcome))
    if not facts.complete:
        yield text("CONTAINS", COMMENT, INCOMPLETE)
    for reason in facts.reasons:
        yield text("CONTAINS", REASON, reason)


def _group(facts: Facts, group: Group, instances: Mapping[str, Instance]) -> Dataset:
    key = f"{facts.ledger_id} {facts.result_id} {group.label} {' '.join(group.image_ids)}"
    made = container(
        GROUP,
        [
            text("HAS OBS CONTEXT", TRACKING, group.label),
            uidref("HAS OBS CONTEXT", TRACKING_UID, uid_of("group", key)),
            code("HAS CONCEPT MOD", SITE, BREAST, list(_side(group))),
            *_algorithm(facts),
            *(image("CONTAINS", SOURCE, instances[one]) for one in group.image_ids),
            number("CONTAINS", PROBABILITY, f"{100 * group.malignant:.4f}", PERCENT),
            code("CONTAINS", OUTCOME, _outcome(group.outcome)),
            text("CONTAINS", OPERATING_POINT, group.operating_point),
            text("CONTAINS", DOMAIN, group.domain),
            text("CONTAINS", MEASURED, group.measured),
        ],
    )
    return _by_template(made, "1501")


def _side(group: Group) -> Iterator[Dataset]:
    if group.laterality is not None:
        yield code("HAS CONCEPT MOD", LATERALITY, SIDES[group.laterality])


def _algorithm(facts: Facts) -> Iterator[Dataset]:
    """Name the model, to the byte (TID 4019)."""
    if facts.model is not None:
        relation = "HAS CONCEPT MOD"
        yield text(relation, ALGORITHM, facts.model["name"])
        yield text(relation, ALGORITHM_VERSION, facts.model["version"])
        bundle = f"SHA-256 of the bundle: {facts.model['bundle']}"
        yield text(relation, ALGORITHM_PARAMETERS, bundle)


def _outcome(outcome: str) -> Code:
    return Code(outcome, SCHEME, outcome.capitalize())


def _by_template(item: Dataset, template: str) -> Dataset:
    named = Dataset()
    named.MappingResource = "DCMR"
    named.TemplateIdentifier = template
    item.ContentTemplateSequence = [named]
    return item
