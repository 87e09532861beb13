"""Log formats: JSON for programs, text for people (LOG_FORMAT)."""

import json
import logging
from datetime import UTC, datetime
from typing import Any

import orjson

from rules.timestamps import format_timestamp
from web import access_log
from web.access_log import LogFields
from web.log_masking import MaskingFormatter


class TextFormatter(logging.Formatter):
    """`2026-04-01 09:00:00,000 INFO proofstone.worker: The worker is ready.`"""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        line = super().formatMessage(record)
        request_id = access_log.current_id()
        has_id = request_id is None or isinstance(record.msg, LogFields)
        return line if has_id else f"{line} request={request_id}"


class JsonFormatter(logging.Formatter):
    """One object per line: `time`, `level`, `logger`, `message` or LogFields, optional `request` and `exception`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": format_timestamp(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname,
            "logger": record.name,
        }
        if isinstance(record.msg, LogFields):
            return _json(line | record.msg)
        if request_id := access_log.current_id():
            line["request"] = request_id
        line["message"] = record.getMessage()
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _json(line)


def _json(line: dict[str, Any]) -> str:
    try:
        return orjson.dumps(line).decode()
    except TypeError:
        # orjson rejects lone surrogates, which represent invalid UTF-8 in file names.
        return json.dumps(line)


def formatter(log_format: str) -> logging.Formatter:
    """Build the formatter for `json` or `text`. It masks secrets."""
    return MaskingFormatter(JsonFormatter() if log_format == "json" else TextFormatter())


def configure(level: str, log_format: str) -> None:
    """Log to standard error, unless the root logger already has handlers."""
    handler = logging.StreamHandler()
    handler.setFormatter(formatter(log_format))
    logging.basicConfig(level=level, handlers=[handler])
    for existing in logging.getLogger().handlers:
        if not isinstance(existing.formatter, MaskingFormatter):
            existing.setFormatter(MaskingFormatter(existing.formatter or logging.Formatter()))
    # peewee's debug lines contain candidate keys.
    logging.getLogger("peewee").setLevel(max(logging.INFO, logging.getLogger().level))
