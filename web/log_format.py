"""The form of every line that is logged: JSON for programs, text for people (LOG_FORMAT)."""

import json
import logging
import time
from datetime import UTC, datetime
from typing import Any

import orjson

from rules.timestamps import format_timestamp
from web import access_log, log_masking
from web.access_log import Facts


class TextFormatter(logging.Formatter):
    """`2026-04-01 09:00:00,000 INFO proofstone.worker: The worker is ready.`"""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._last_second = (0, "")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        # Written once a second, since that takes a third of what a line takes.
        latest, second = self._last_second, int(record.created)
        if latest[0] != second:
            written = time.strftime(self.default_time_format, time.localtime(second))
            self._last_second = latest = second, written
        return f"{latest[1]},{int(record.msecs):03}"

    def format(self, record: logging.LogRecord) -> str:
        if isinstance(record.msg, Facts):
            # As the rest, without all that a request's line never has; there is one for each request.
            return f"{self.formatTime(record)} {record.levelname} {record.name}: {record.msg}"
        return super().format(record)

    def formatMessage(self, record: logging.LogRecord) -> str:
        line = super().formatMessage(record)
        request_id = access_log.current_id()
        return f"{line} request={request_id}" if request_id else line


class JsonFormatter(logging.Formatter):
    """One object a line: `time`, `level`, `logger`, `request` where it is written during one, and either `message`
    (with `exception`, if there is one) or the members of a request's line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": format_timestamp(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname,
            "logger": record.name,
        }
        if isinstance(record.msg, Facts):
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
        # A lone surrogate, as in a name of a file that is no UTF-8.
        return json.dumps(line)


def formatter(form: str) -> logging.Formatter:
    """What writes lines of that form, `json` or `text`, and masks what is secret in them."""
    return log_masking.MaskingFormatter(JsonFormatter() if form == "json" else TextFormatter())


def set_up(level: str, form: str) -> None:
    """Write what is logged to the standard error, unless somebody else has seen to the log already."""
    # No line names them, and each would be looked up for each line.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = logging.StreamHandler()
    handler.setFormatter(formatter(form))
    logging.basicConfig(level=level, handlers=[handler])
    log_masking.mask(logging.getLogger())
    # peewee's debug lines quote every value of a statement, and keys are among them.
    logging.getLogger("peewee").setLevel(max(logging.INFO, logging.getLogger().level))
