"""OTLP over HTTP with JSON: read log records, and respond in the protocol's format (R39)."""

import json
import re
import zlib
from collections.abc import Iterator
from itertools import islice
from math import isfinite
from typing import Any

from flask import g, request
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

from errors import InvalidTelemetry, TooManyValues
from rules.agents.log_records import Attributes, AttributeValue, LogRecord
from rules.events.envelopes import INT64, as_list, field, integer
from web.json import MAX_BODY_BYTES, MAX_EVENT_BYTES, read_body
from web.value_limit import find_excess

# The default queue size of exporters, which by default send 512 records per request.
MAX_RECORDS = 2048
# The largest observed batches contain 10,000.
MAX_VALUES = 200_000
_GZIP = 31  # zlib's window size for gzip
_INTEGER = re.compile(r"-?[0-9]{1,20}", re.ASCII)
# google.rpc.Code by HTTP status.
_RPC_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 409: 9, 413: 3, 415: 3, 429: 8, 503: 14}
_INTERNAL = 13


def require_json() -> None:
    """Raise 415 unless the Content-Type is JSON; protobuf is not supported."""
    if request.mimetype != "application/json":
        raise UnsupportedMediaType()


def has_large_body() -> bool:
    """Return whether decoding the request's body can require much memory.

    Claude Code does not send the size. Without a size, reads up to 1 MiB to find out, before the request takes a slot.
    """
    if _encoding() != "identity":
        return True
    if request.content_length is not None:
        return request.content_length > MAX_BODY_BYTES
    g.telemetry_start = _receive_start()
    return len(g.telemetry_start) > MAX_BODY_BYTES


def _receive_start() -> bytes:
    # Werkzeug truncates a body at its limit: an extra byte reveals a body over the limit.
    request.max_content_length = MAX_EVENT_BYTES + 1
    start = b""
    try:
        while len(start) <= MAX_BODY_BYTES and (part := request.stream.read(MAX_BODY_BYTES + 1 - len(start))):
            start += part
    except RequestEntityTooLarge:
        raise
    except Exception:
        # gunicorn's errors for bad chunks and disconnected clients have no common base class.
        raise InvalidTelemetry("The body is incomplete.") from None
    return start


def read_logs() -> tuple[list[LogRecord], int]:
    """Read the request's log records. Returns the accepted ones and the number of rejected ones.

    Rejects invalid records and records after the first MAX_RECORDS.

    Raises InvalidTelemetry, TooManyValues, 413 for more than 16 MiB before or after decompression, and 415.
    """
    require_json()
    body = g.pop("telemetry_start", b"") + read_body(request, retains=False)
    if len(body) > MAX_EVENT_BYTES:
        raise RequestEntityTooLarge()
    entries = _entries(_parse(_decompress(body)))
    records = [_record(*entry) for entry in islice(entries, MAX_RECORDS)]
    valid = [record for record in records if record is not None]
    return valid, len(records) - len(valid) + sum(1 for _ in entries)


def _encoding() -> str:
    return request.headers.get("Content-Encoding", "identity").strip().lower()


def _decompress(body: bytes) -> bytes:
    encoding = _encoding()
    if encoding == "identity":
        return body
    if encoding != "gzip":
        raise UnsupportedMediaType()
    decompressor = zlib.decompressobj(wbits=_GZIP)
    try:
        plain = decompressor.decompress(body, MAX_EVENT_BYTES + 1)
    except zlib.error:
        raise InvalidTelemetry("The body is not valid gzip.") from None
    if len(plain) > MAX_EVENT_BYTES:
        raise RequestEntityTooLarge()
    if not decompressor.eof or decompressor.unused_data:
        raise InvalidTelemetry("The body must be one complete gzip stream.")
    return plain


def _entries(document: dict[str, Any]) -> Iterator[tuple[Attributes, Any]]:
    """Yield each record with its resource's attributes."""
    for resource_logs in _objects(document, "resourceLogs"):
        resource = _attributes(field(resource_logs, "resource"))
        for scope_logs in _objects(resource_logs, "scopeLogs"):
            for record in as_list(field(scope_logs, "logRecords")):
                yield resource, record


def _parse(body: bytes) -> dict[str, Any]:
    """Parse a JSON object. Less strict than R27: accepts any valid JSON."""
    try:
        text = body.decode()
        if find_excess(text, MAX_VALUES) is not None:
            raise TooManyValues(f"The body has more than {MAX_VALUES} values. Send smaller batches.")
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidTelemetry() from None
    if not isinstance(document, dict):
        raise InvalidTelemetry()
    return document


def _record(resource: Attributes, record: Any) -> LogRecord | None:
    if not isinstance(record, dict):
        return None
    times = (_integer(record.get(name)) for name in ("timeUnixNano", "observedTimeUnixNano"))
    return LogRecord(resource, _attributes(record), next(filter(None, times), None))


def _attributes(node: Any) -> Attributes:
    attributes = _objects(node, "attributes")
    return {key: _value(pair.get("value")) for pair in attributes if isinstance(key := pair.get("key"), str)}


def _value(value: Any) -> AttributeValue:
    if not isinstance(value, dict):
        return None
    if isinstance(text := value.get("stringValue"), str):
        return text
    if isinstance(flag := value.get("boolValue"), bool):
        return flag
    if "intValue" in value:
        return _integer(value["intValue"])
    number = value.get("doubleValue")
    return number if isinstance(number, float) and isfinite(number) else _integer(number)


def _integer(value: Any) -> int | None:
    """Return a 64-bit integer, which JSON encodes as a number or a string."""
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        value = int(value)
    return integer(value, INT64)


def _objects(node: Any, name: str) -> Iterator[dict[str, Any]]:
    return (entry for entry in as_list(field(node, name)) if isinstance(entry, dict))


def success(rejected: int = 0) -> dict[str, Any]:
    """Build the response for accepted records. Exporters do not resend rejected ones."""
    if not rejected:
        return {}
    reason = f"Rejected: more than {MAX_RECORDS} records, or an invalid record."
    return {"partialSuccess": {"rejectedLogRecords": str(rejected), "errorMessage": reason}}


def error(status: int, message: str) -> dict[str, Any]:
    """Build an error response as google.rpc.Status."""
    return {"code": _RPC_CODES.get(status, _INTERNAL), "message": message}
