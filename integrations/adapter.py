"""The interface between the core and an adapter, a module in integrations/systems/.

Constants of an adapter:

- `NAME`: the system's name, such as "Greenhouse"
- `HOSTS`: the host names that it calls
- `LIMIT`: a RateLimit that it stays below; the system's headers can only lower it
- `STEPS`: sentences that tell an admin how to create the webhook with the URL and secret that the console shows
- `CREDENTIAL`, `SETTINGS`: tuples of InputField: values that an admin enters, the last of CREDENTIAL being the secret

Functions; `api` is a Connection (integrations/connection.py), an `application` is an Application:

- `verify(headers, body, secrets) -> bool`: whether the bytes are signed with one of the secrets
- `parse(body) -> Hint | None`: read the verified bytes; None for pings and everything that needs no action
- `read_application(api, application_id) -> Application | None`: None if it does not exist
- `jobs(api) -> list[Job]`
- `stages(api, job_id) -> list[Stage]`: of a job, or of all jobs for None
- `in_stage(api, stage_id, job_id) -> list[Application]`: active applications, possibly without email and name
- `write_note(api, application, text) -> None`
- `find_note(api, application, reference) -> bool | None`: None if the system cannot list notes
- optional `set_mark(api, application, text) -> None`: overwrite a field of the application

An adapter's calls raise the exceptions below. Only ids and `may_email` are read from webhooks; everything else comes
from the API.
"""

import hmac
import json
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from rules.lenient_json import parse_json
from rules.plain_text import clean_name

MAX_NAME_CHARACTERS = 255


class RateLimit(NamedTuple):
    requests: int
    seconds: int


class InputField(NamedTuple):
    """A value that an admin enters. `choices` are the accepted values of a selection, the first one the default."""

    name: str
    label: str
    help: str
    is_required: bool = True
    choices: tuple[str, ...] = ()


class Hint(NamedTuple):
    """A webhook's ids. With `is_deleted` the application or person was deleted in the system.

    `may_email` is False if the webhook says that the person must not be emailed.
    """

    application_ids: tuple[str, ...]
    person_id: str | None = None
    stage_id: str | None = None
    job_ids: tuple[str, ...] = ()
    is_deleted: bool = False
    may_email: bool = True


class Application(NamedTuple):
    """An application as the system's API returns it. `email` is the address to use, or None."""

    id: str
    person_id: str
    stage_id: str | None
    job_id: str | None
    is_active: bool
    name: str | None = None
    email: str | None = None
    may_email: bool = True


class Job(NamedTuple):
    id: str
    name: str


class Stage(NamedTuple):
    """A stage. `job_id` is None if several jobs share it; `group` names what it belongs to, for the list."""

    id: str
    name: str
    job_id: str | None = None
    group: str | None = None


class CallFailed(Exception):
    """A call to the system failed. `message` can be shown to people; it never contains the response's body.

    status -- the response's status, or None without a response
    code -- the system's error code, if it has one
    """

    def __init__(self, message: str, status: int | None = None, code: str | None = None):
        super().__init__(message)
        self.message, self.status, self.code = message, status, code


class Rejected(CallFailed):
    """Final: 400, 404, 409, 422, or `success: false`."""


class CredentialRejected(CallFailed):
    """401 or 403: the integration stops until its credential is replaced."""


class TemporaryFailure(CallFailed):
    """The call is tried again.

    is_unknown -- whether a write could have taken effect: time-out, broken connection, 5xx
    retry_after_seconds -- from `Retry-After`, or 0
    """

    def __init__(
        self,
        message: str,
        status: int | None = None,
        code: str | None = None,
        is_unknown: bool = True,
        retry_after_seconds: float = 0,
    ):
        super().__init__(message, status, code)
        self.is_unknown, self.retry_after_seconds = is_unknown, retry_after_seconds


# Helpers for adapters

_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def is_signed(signature: str, body: bytes, secrets: Iterable[str]) -> bool:
    """Return whether `signature` is the body's hexadecimal HMAC-SHA256 with one of the secrets."""
    expected = [hmac.digest(secret.encode(), body, "sha256").hex() for secret in secrets]
    return any(hmac.compare_digest(signature.encode(), digest.encode()) for digest in expected)


def read_webhook(body: bytes) -> dict[str, Any]:
    """Return the body's object, empty if it is something else."""
    try:
        return as_dict(parse_json(body))
    except (ValueError, RecursionError):
        return {}


def as_dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def read_id(value: Any) -> str | None:
    """Return an id as text, None if it is not a number or a short text of ASCII characters."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return value if isinstance(value, str) and _ID.fullmatch(value) else None


def read_name(value: Any, fallback: str = "") -> str:
    """Return a name on one line, `fallback` if there is none."""
    return (clean_name(value, MAX_NAME_CHARACTERS) if isinstance(value, str) else "") or fallback


def with_distinct_names(rows: list[Any]) -> list[Any]:
    """Add the end of the id to names that several jobs, or several stages of a group, have."""
    names = [(row.name, getattr(row, "group", None)) for row in rows]
    counts = Counter(names)
    return [
        row._replace(name=f"{row.name} ({row.id[-6:]})") if counts[name] > 1 else row
        for row, name in zip(rows, names, strict=True)
    ]


def mentions(note: Any, reference: str) -> bool:
    """Return whether a note, as the system returns it, has the reference."""
    return re.search(rf"{re.escape(reference)}(?![0-9])", json.dumps(note)) is not None
