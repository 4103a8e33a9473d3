"""Pictures of one examination, for `classify --explain`."""


def picture_name(image_id: str) -> str:
    """Name the picture of an image by its first 16 hex digits: not by a file or a patient."""
    return f"{image_id[:16]}.png"
