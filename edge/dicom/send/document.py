"""A report as a whole: its content, the patient and study of its images, and its names."""

from collections.abc import Mapping, Sequence
from typing import Final

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from edge.dicom.send.content import content_of
from edge.dicom.send.facts import Facts
from edge.dicom.send.headers import demand_one_study, instance_of
from edge.dicom.send.identity import note_time, take_over
from edge.dicom.send.items import SCHEME, Instance
from edge.dicom.send.uids import uid_of
from edge.domain import OWN

COMPREHENSIVE_3D: Final = "1.2.840.10008.5.1.4.1.1.88.34"
COMPREHENSIVE: Final = "1.2.840.10008.5.1.4.1.1.88.33"
CLASSES: Final = (COMPREHENSIVE_3D, COMPREHENSIVE)
"""The SOP classes of reports, the preferred one first."""
SERIES: Final = "mammo-edge: research, not for diagnosis"
"""The series description, which work stations show as the report's title."""
SERIES_NUMBER: Final = 1500


def document(facts: Facts, headers: Mapping[str, Dataset], sop_class: str) -> Dataset:
    """
    Make the report of a result.

    The same result and the same headers give the same bytes, whenever they are made.

    Args:
        facts: of the result.
        headers: of the images that it names, by image id; of a result that takes an earlier one
            back, those of the earlier one.
        sop_class: one of CLASSES.

    Raises:
        SeveralStudiesError: the images are of several studies or patients.
    """
    demand_one_study(headers.values())
    first = headers[min(headers)]
    instances = {image_id: instance_of(header) for image_id, header in headers.items()}
    made = content_of(facts, instances)
    take_over(made, first)
    study = str(first.StudyInstanceUID)
    made.Modality = "SR"
    made.SeriesInstanceUID = series_uid(facts, study)
    made.SeriesNumber = SERIES_NUMBER
    made.SeriesDescription = SERIES
    made.ReferencedPerformedProcedureStepSequence = []
    made.Manufacturer = OWN
    made.SOPClassUID = sop_class
    made.SOPInstanceUID = report_uid(facts, facts.result_id, sop_class)
    _general(made, facts)
    made.CodingSchemeIdentificationSequence = [_scheme()]
    made.CurrentRequestedProcedureEvidenceSequence = [_evidence(study, list(headers.values()))]
    if facts.supersedes is not None:
        before = Instance(sop_class, report_uid(facts, facts.supersedes, sop_class))
        made.PredecessorDocumentsSequence = [_study(study, {made.SeriesInstanceUID: [before]})]
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return made


def report_uid(facts: Facts, result_id: str, sop_class: str) -> str:
    """Name the report of a result of the same ledger."""
    return uid_of("report", f"{facts.ledger_id} {result_id} {sop_class}")


def series_uid(facts: Facts, study: str) -> str:
    """Name the series of an exam's, or an image's, reports in a study."""
    return uid_of("series", f"{facts.ledger_id} {facts.subject} {study}")


def _general(made: Dataset, facts: Facts) -> None:
    made.InstanceNumber = facts.revision
    made.CompletionFlag = "COMPLETE" if facts.complete else "PARTIAL"
    made.VerificationFlag = "UNVERIFIED"
    note_time(made, facts.completed_at)
    made.PerformedProcedureCodeSequence = []


def _scheme() -> Dataset:
    scheme = Dataset()
    scheme.CodingSchemeDesignator = SCHEME
    scheme.CodingSchemeName = "Concepts of mammo-edge, docs/reference/dicom-conformance.md"
    scheme.CodingSchemeResponsibleOrganization = OWN
    return scheme


def _evidence(study: str, headers: Sequence[Dataset]) -> Dataset:
    """List the images by their series."""
    series: dict[str, list[Instance]] = {}
    for header in sorted(headers, key=lambda one: str(one.SOPInstanceUID)):
        series.setdefault(str(header.SeriesInstanceUID), []).append(instance_of(header))
    return _study(study, series)


def _study(study: str, series: Mapping[str, Sequence[Instance]]) -> Dataset:
    made = Dataset()
    made.ReferencedSeriesSequence = []
    for uid, instances in sorted(series.items()):
        one = Dataset()
        one.ReferencedSOPSequence = [instance.item() for instance in instances]
        one.SeriesInstanceUID = uid
        made.ReferencedSeriesSequence.append(one)
    made.StudyInstanceUID = study
    return made
