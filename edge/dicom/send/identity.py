"""Patient, study and time of an object that is made, as the image names them that it is of."""

from datetime import datetime, timedelta, timezone

from pydicom import Dataset

from edge.dicom.send.headers import OPTIONAL, PATIENT, STUDY


def take_over(made: Dataset, header: Dataset) -> None:
    """Take over patient and study, in the image's own character set."""
    for name in (*PATIENT, *STUDY, *OPTIONAL):
        if name in header:
            made[name] = header[name]
        elif name not in OPTIONAL:
            setattr(made, name, None)


def note_time(made: Dataset, at: datetime) -> None:
    """Note the time of the content, by the images' offset from UTC, else as this machine does."""
    local = _local(at, str(made.get("TimezoneOffsetFromUTC", "")))
    made.ContentDate = local.strftime("%Y%m%d")
    made.ContentTime = local.strftime("%H%M%S.%f")


def _local(at: datetime, offset: str) -> datetime:
    try:
        minutes = int(offset[:-4] + "1") * (60 * int(offset[-4:-2]) + int(offset[-2:]))
        return at.astimezone(timezone(timedelta(minutes=minutes)))
    except ValueError:
        return at.astimezone()
