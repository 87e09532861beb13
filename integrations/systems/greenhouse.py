"""Greenhouse: webhooks and the Harvest API v3."""

import re
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from integrations.adapter import (
    Application,
    CredentialRejected,
    Hint,
    InputField,
    Job,
    RateLimit,
    Rejected,
    Stage,
    TemporaryFailure,
    as_dict,
    as_list,
    is_signed,
    mentions,
    read_id,
    read_name,
    read_webhook,
    with_distinct_names,
)

NAME = "Greenhouse"
HOSTS = ("harvest.greenhouse.io", "auth.greenhouse.io")
# Only response headers document v3's limit. Its window is 30 seconds.
LIMIT = RateLimit(270, 30)
CREDENTIAL = (
    InputField(
        "clientId",
        "Client ID",
        "Configure > Dev Center > API Credentials > Harvest V3 (OAuth). Scopes: harvest:applications:list, "
        "harvest:candidates:list, harvest:jobs:list, harvest:job_interview_stages:list, harvest:notes:create, "
        "harvest:notes:list.",
    ),
    InputField(
        "userId", "Acting user", "ID of the user whose permissions apply. Empty: a service account.", False
    ),
    InputField("clientSecret", "Client secret", "Shown with the client ID."),
)
SETTINGS = (
    InputField(
        "visibility",
        "Visibility of notes",
        "Readers of the notes.",
        False,
        ("public", "private", "admin_only"),
    ),
    InputField("noteUserId", "Author of notes", "ID of a user. Empty: Greenhouse's default.", False),
)

STEPS = (
    "In Greenhouse, open Configure, Dev Center, Web Hooks.",
    "Create a web hook for “Candidate has changed Stage” with the URL and secret key below.",
    "Save. Greenhouse sends a ping. If the web hook is disabled afterwards, enable it.",
    "Create a second one with the same URL and secret key for “Candidate or Prospect deleted”.",
)

API = "https://harvest.greenhouse.io/v3"
TOKEN_URL = "https://auth.greenhouse.io/token"
TOKEN_MARGIN_SECONDS = 60
# If the response has no expiry.
TOKEN_SECONDS = 3600
# At most 500, but a response is limited to 1 MiB, and an application with all its fields can have several KiB.
PAGE_SIZE = 100
# In one request.
MAX_CANDIDATES = 100
MAX_ROWS = 100_000
NEXT_LINK = re.compile(r'<([^<>]*)>\s*;[^<]*?\brel="?next\b')


def verify(headers: Mapping[str, str], body: bytes, secrets: list[str]) -> bool:
    algorithm, _, signature = headers.get("Signature", "").partition(" ")
    return algorithm == "sha256" and is_signed(signature, body, secrets)


def parse(body: bytes) -> Hint | None:
    webhook = read_webhook(body)
    payload = as_dict(webhook.get("payload"))
    if webhook.get("action") == "delete_candidate":
        person = as_dict(payload.get("person"))
        ids = tuple(filter(None, map(read_id, as_list(person.get("deleted_application_ids")))))
        person_id = read_id(person.get("id"))
        return Hint(ids, person_id, is_deleted=True) if ids or person_id else None
    application = as_dict(payload.get("application"))
    application_id = read_id(application.get("id"))
    if webhook.get("action") != "candidate_stage_change" or not application_id:
        return None
    candidate = as_dict(application.get("candidate"))
    job_ids = (read_id(as_dict(job).get("id")) for job in as_list(application.get("jobs")))
    return Hint(
        (application_id,),
        read_id(candidate.get("id")),
        read_id(as_dict(application.get("current_stage")).get("id")),
        tuple(filter(None, job_ids)),
        may_email=candidate.get("can_email") is not False,
    )


def read_application(api: Any, application_id: str) -> Application | None:
    try:
        rows = map(_application, _list(api, "/applications", ids=application_id))
        application = next((each for each in rows if each and each.id == application_id), None)
    except Rejected as error:
        if error.status == 404:
            return None
        raise
    return None if application is None else _with_candidates(api, [application])[0]


def jobs(api: Any) -> list[Job]:
    rows = [(read_id(row.get("id")), row.get("name")) for row in _list(api, "/jobs", status="open")]
    return with_distinct_names([Job(job_id, read_name(name, job_id)) for job_id, name in rows if job_id])


def stages(api: Any, job_id: str | None) -> list[Stage]:
    names = {job.id: job.name for job in jobs(api)}
    filters = {"job_ids": job_id} if job_id else {}
    result = []
    for row in _list(api, "/job_interview_stages", **filters):
        stage_id, stage_job = read_id(row.get("id")), read_id(row.get("job_id")) or job_id
        if stage_id and stage_job in names and row.get("active") is not False:
            result.append(Stage(stage_id, read_name(row.get("name"), stage_id), stage_job, names[stage_job]))
    return with_distinct_names(result)


def in_stage(api: Any, stage_id: str, job_id: str | None) -> list[Application]:
    filters = {"job_ids": job_id} if job_id else {}
    rows = map(_application, _list(api, "/applications", status="in_process", **filters))
    found = [row for row in rows if row and row.is_active and row.stage_id == stage_id]
    batches = (found[start : start + MAX_CANDIDATES] for start in range(0, len(found), MAX_CANDIDATES))
    return [row for batch in batches for row in _with_candidates(api, batch)]


def _with_candidates(api: Any, applications: list[Application]) -> list[Application]:
    """Add the candidates' names and addresses."""
    ids = {application.person_id for application in applications}
    candidates: dict[Any, dict[str, Any]] = {}
    for row in _list(api, "/candidates", ids=",".join(sorted(ids))):
        candidates[read_id(row.get("id"))] = row
        if ids <= candidates.keys():
            break
    return [_with_candidate(each, candidates.get(each.person_id, {})) for each in applications]


def _with_candidate(application: Application, candidate: dict[str, Any]) -> Application:
    names = (read_name(candidate.get("first_name")), read_name(candidate.get("last_name")))
    return application._replace(
        name=" ".join(filter(None, names)) or None,
        email=_address(candidate),
        may_email=candidate.get("can_email") is not False,
    )


def write_note(api: Any, application: Application, text: str) -> None:
    note = {
        "candidate_id": _number(application.person_id),
        "application_id": _number(application.id),
        "body": text,
        "note_type": "NOTE",
        "visibility": api.settings.get("visibility") or "public",
    }
    if user_id := api.settings.get("noteUserId"):
        note["user_id"] = _number(user_id)
    _call(api, "POST", "/notes", json=note)


def find_note(api: Any, application: Application, reference: str) -> bool | None:
    try:
        return any(
            mentions(note, reference) for note in _list(api, "/notes", candidate_ids=application.person_id)
        )
    except (Rejected, CredentialRejected) as error:
        # The scope harvest:notes:list is missing.
        if error.status in (403, 404):
            return None
        raise


def _application(row: dict[str, Any]) -> Application | None:
    application_id, person_id = read_id(row.get("id")), read_id(row.get("candidate_id"))
    if not application_id or not person_id:
        return None
    stage_id, job_id = read_id(row.get("job_interview_stage_id")), read_id(row.get("job_id"))
    is_active = row.get("status") in ("in_process", "active")
    return Application(application_id, person_id, stage_id, job_id, is_active)


def _address(candidate: dict[str, Any]) -> str | None:
    """Return the first personal address, else the first one."""
    rows = [as_dict(row) for row in as_list(candidate.get("email_addresses"))]
    rows = [row for row in rows if isinstance(row.get("value"), str) and row["value"].strip()]
    personal = [row for row in rows if row.get("type") == "personal"]
    return (personal or rows)[0]["value"].strip() if rows else None


def _number(value: str) -> int | str:
    return int(value) if value.isascii() and value.isdigit() else value


def _list(api: Any, path: str, **filters: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of all pages."""
    params: dict[str, Any] = filters | {"per_page": PAGE_SIZE}
    count = 0
    while count < MAX_ROWS:
        reply = _call(api, "GET", path, params=params)
        if not isinstance(reply.data, list):
            raise TemporaryFailure("Greenhouse's response is not a list.", reply.status)
        count += len(reply.data)
        yield from map(as_dict, reply.data)
        link = NEXT_LINK.search(", ".join(reply.headers.get_all("Link") or ()))
        cursor = parse_qs(urlsplit(link[1]).query).get("cursor") if link else None
        if not cursor:
            return
        # The cursor must be the only parameter.
        params = {"cursor": cursor[0]}
    raise Rejected(f"Greenhouse's list has more than {MAX_ROWS} rows.")


def _call(api: Any, method: str, path: str, **arguments: Any) -> Any:
    """Call the API. A rejected token is renewed once."""
    try:
        return api.call(method, API + path, bearer=_token(api), **arguments)
    except CredentialRejected as error:
        if error.status != 401:
            raise
    api.token.clear()
    return api.call(method, API + path, bearer=_token(api), **arguments)


def _token(api: Any) -> str:
    token, expires_at = api.token.get("access", ("", 0))
    if expires_at > time.time() + TOKEN_MARGIN_SECONDS:
        return token
    form = {"grant_type": "client_credentials"}
    if user_id := api.credential.get("userId"):
        form["sub"] = user_id
    basic = (api.credential["clientId"], api.credential["clientSecret"])
    try:
        reply = api.call("POST", TOKEN_URL, form=form, basic=basic)
    except Rejected as error:
        if error.status != 400:
            raise
        raise CredentialRejected(error.message, error.status, error.code) from None
    answer = as_dict(reply.data)
    token = answer.get("access_token")
    if not isinstance(token, str):
        raise TemporaryFailure("Greenhouse's response has no access token.", reply.status)
    api.token["access"] = token, _expiry(answer)
    return token


def _expiry(answer: dict[str, Any]) -> float:
    """Return the time at which the token expires."""
    seconds, at = answer.get("expires_in"), answer.get("expires_at")
    try:
        if seconds is not None:
            return time.time() + float(seconds)
        if not isinstance(at, str):
            return float(at)  # type: ignore[arg-type]
        at = datetime.fromisoformat(at)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError):
        return time.time() + TOKEN_SECONDS
