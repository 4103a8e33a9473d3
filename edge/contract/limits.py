"""Limits of what the device takes from strangers, checked before their text is worked on."""

from typing import Final

REFERENCE_BYTES: Final = 16_384
"""The largest message on `request/ref`."""
COMMAND_BYTES: Final = 65_536
"""The largest message on `command/...`."""
NAME_BYTES: Final = 4_096
"""The longest name of a file in the inbox, in UTF-8; Linux opens no longer one."""
NAME_LEVELS: Final = 64
"""The most folders and the file that such a name may consist of."""
EXAM_BYTES: Final = 64
"""The longest reference of an exam, in UTF-8."""
QOS_0_BYTES: Final = 64 * 2**20
"""The most bytes that may wait in memory of requests at QoS 0."""
