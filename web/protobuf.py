"""Protobuf without generated code: count a body's messages before it is decoded, and encode google.rpc.Status."""

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError

_VARINT, _LENGTH_DELIMITED = 0, 2
# Bytes after the tag, by wire type. A group is only a tag before and one after its fields.
_FIXED_BYTES = {1: 8, 3: 0, 4: 0, 5: 4}


def count_messages(body: bytes, descriptor: Descriptor, limit: int) -> int:
    """Count the messages on all levels, or up to more than `limit`. Raises DecodeError.

    A message of two bytes takes more than a hundred when it is decoded. The count takes none.
    """
    count, unread = 0, [(0, len(body), descriptor)]
    try:
        while unread and count <= limit:
            found = _messages_in(body, *unread.pop(), limit - count)
            count += len(found)
            unread += found
    except (IndexError, KeyError):
        raise DecodeError("The body is not protobuf.") from None
    return count


def _messages_in(
    body: bytes, at: int, end: int, descriptor: Descriptor, limit: int
) -> list[tuple[int, int, Descriptor]]:
    """The positions and types of the messages in the message at `at`, up to one more than `limit`."""
    found: list[tuple[int, int, Descriptor]] = []
    while at < end and len(found) <= limit:
        tag, at = _varint(body, at)
        if tag & 7 == _VARINT:
            _, at = _varint(body, at)
        elif tag & 7 == _LENGTH_DELIMITED:
            size, at = _varint(body, at)
            field = descriptor.fields_by_number.get(tag >> 3)
            if field is not None and field.message_type is not None:
                found.append((at, at + size, field.message_type))
            at += size
        else:
            at += _FIXED_BYTES[tag & 7]
    return found


def _varint(body: bytes, at: int) -> tuple[int, int]:
    """Read an integer; return it and the position after it."""
    value = shift = 0
    while (byte := body[at]) & 128:
        value |= (byte & 127) << shift
        shift += 7
        at += 1
        if shift > 63:
            raise IndexError
    return value | byte << shift, at + 1


def encode_status(code: int, message: str) -> bytes:
    """A google.rpc.Status: its code is field 1, its message field 2."""
    text = message.encode()
    return bytes([0x08, code, 0x12]) + _encode_varint(len(text)) + text


def _encode_varint(value: int) -> bytes:
    parts = []
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])
