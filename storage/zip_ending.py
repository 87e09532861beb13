"""Check the end of a zip archive, which lists its files."""

import struct

_END = b"PK\x05\x06"
_END_BYTES = 22
_ZIP64 = b"PK\x06\x07"
_ZIP64_BYTES = 20
_ENTRY = b"PK\x01\x02"
_ENTRY_BYTES = 46
# The comment at the end has at most 65,535 bytes.
MAX_ENDING_BYTES = 2**17


def lists_a_file(ending: bytes) -> bool:
    """Return whether a zip archive is complete and lists a file.

    Returns True for lists that it does not read: in zip64 format, or longer than the ending.

    ending -- the archive's last MAX_ENDING_BYTES
    """
    end = ending.rfind(_END)
    if end < 0 or end + _END_BYTES > len(ending):
        return False
    position = end - int.from_bytes(ending[end + 12 : end + 16], "little")
    if position < 0 or ending[max(0, end - _ZIP64_BYTES) : end].startswith(_ZIP64):
        return True
    while ending.startswith(_ENTRY, position) and position + _ENTRY_BYTES <= end:
        lengths = struct.unpack_from("<3H", ending, position + 28)
        name_end = position + _ENTRY_BYTES + lengths[0]
        if ending[name_end - 1 : name_end] != b"/":
            return True
        position += _ENTRY_BYTES + sum(lengths)
    return False
