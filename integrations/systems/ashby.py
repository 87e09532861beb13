"""Ashby: webhooks and the API."""

from collections.abc import Iterator, Mapping
from typing import Any

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

NAME = "Ashby"
HOSTS = ("api.ashbyhq.com",)
# The limit is not documented.
LIMIT = RateLimit(9, 1)
CREDENTIAL = (
    InputField(
        "apiKey",
        "API key",
        "Admin > Integrations > API Keys. Permissions: candidatesRead, candidatesWrite, interviewsRead, jobsRead.",
    ),
)
SETTINGS = (
    InputField("visibility", "Visibility of notes", "Readers of the notes.", False, ("public", "private")),
    InputField("markFieldId", "Status field", "Id of an application's custom field for the status.", False),
)
STEPS = (
    "In Ashby, open Admin, Integrations, Webhooks.",
    "Create a webhook for “Candidate Stage Change” with the URL below. Enter the secret below as its secret token.",
    "Create another webhook with the same URL and token for “Candidate Delete”.",
)

API = "https://api.ashbyhq.com/"
HEADERS = {"Accept": "application/json; version=1"}
MAX_ROWS = 100_000


def verify(headers: Mapping[str, str], body: bytes, secrets: list[str]) -> bool:
    algorithm, _, signature = headers.get("Ashby-Signature", "").partition("=")
    return algorithm == "sha256" and is_signed(signature, body, secrets)


def parse(body: bytes) -> Hint | None:
    webhook = read_webhook(body)
    data = as_dict(webhook.get("data"))
    if webhook.get("action") == "candidateDelete":
        person_id = read_id(as_dict(data.get("candidate")).get("id"))
        return Hint((), person_id, is_deleted=True) if person_id else None
    application = as_dict(data.get("application"))
    application_id = read_id(application.get("id"))
    # A stage change also sends applicationUpdate, and a hire also sends candidateStageChange.
    if webhook.get("action") != "candidateStageChange" or not application_id:
        return None
    job_id = _id_of(application, "job")
    return Hint(
        (application_id,),
        _id_of(application, "candidate"),
        _id_of(application, "currentInterviewStage"),
        (job_id,) if job_id else (),
    )


def read_application(api: Any, application_id: str) -> Application | None:
    row = _info(api, "application.info", application_id, "applicationId", "id")
    application = _application(row)
    if application is None or application.email:
        return application
    candidate = _info(api, "candidate.info", application.person_id, "id", "candidateId")
    name = read_name(candidate.get("name")) or application.name
    return application._replace(name=name, email=_address(candidate))


def jobs(api: Any) -> list[Job]:
    rows = [(read_id(row.get("id")), row.get("title")) for row in _open_jobs(api)]
    return with_distinct_names([Job(job_id, read_name(title, job_id)) for job_id, title in rows if job_id])


def stages(api: Any, job_id: str | None) -> list[Stage]:
    """Stages belong to interview plans, which jobs share."""
    plan_ids: set[Any] = set()
    if job_id:
        for job in _open_jobs(api):
            if job.get("id") == job_id:
                plan_ids = {job.get("defaultInterviewPlanId"), *as_list(job.get("interviewPlanIds"))}
    result = []
    for plan in _list(api, "interviewPlan.list"):
        plan_id, title = read_id(plan.get("id")), plan.get("title")
        # Without a job's plans, include all.
        if not plan_id or plan.get("isArchived") or (plan_ids - {None} and plan_id not in plan_ids):
            continue
        for row in _list(api, "interviewStage.list", interviewPlanId=plan_id):
            if stage_id := read_id(row.get("id")):
                name = read_name(row.get("title"), stage_id)
                result.append(Stage(stage_id, name, group=read_name(title) or None))
    return with_distinct_names(result)


def in_stage(api: Any, stage_id: str, job_id: str | None) -> list[Application]:
    filters = {"status": "Active"} | ({"jobId": job_id} if job_id else {})
    rows = map(_application, _list(api, "application.list", **filters))
    return [
        row
        for row in rows
        if row and row.is_active and row.stage_id == stage_id and job_id in (None, row.job_id)
    ]


def write_note(api: Any, application: Application, text: str) -> None:
    note = {"candidateId": application.person_id, "note": text, "sendNotifications": False}
    if api.settings.get("visibility") == "private":
        note["isPrivate"] = True
    _call(api, "candidate.createNote", note)


def find_note(api: Any, application: Application, reference: str) -> bool | None:
    try:
        notes = _list(api, "candidate.listNotes", candidateId=application.person_id)
        return any(mentions(note, reference) for note in notes)
    except Rejected:
        return None


def set_mark(api: Any, application: Application, text: str) -> None:
    if field_id := api.settings.get("markFieldId"):
        field = {"objectType": "Application", "objectId": application.id, "fieldId": field_id}
        _call(api, "customField.setValue", field | {"fieldValue": text})


def _id_of(row: dict[str, Any], name: str) -> str | None:
    return read_id(as_dict(row.get(name)).get("id"))


def _application(row: dict[str, Any]) -> Application | None:
    application_id, person_id = read_id(row.get("id")), _id_of(row, "candidate")
    if not application_id or not person_id:
        return None
    candidate = as_dict(row.get("candidate"))
    return Application(
        application_id,
        person_id,
        _id_of(row, "currentInterviewStage"),
        _id_of(row, "job"),
        is_active=row.get("status") == "Active",
        name=read_name(candidate.get("name")) or None,
        email=_address(candidate),
    )


def _address(candidate: dict[str, Any]) -> str | None:
    address = as_dict(candidate.get("primaryEmailAddress")).get("value")
    return address.strip() if isinstance(address, str) and address.strip() else None


def _open_jobs(api: Any) -> list[dict[str, Any]]:
    return [row for row in _list(api, "job.list") if row.get("status") in (None, "Open")]


def _info(api: Any, method: str, row_id: str, *parameters: str) -> dict[str, Any]:
    """Return an object, empty if it does not exist. Tries each name of the parameter, because it is not documented."""
    for number, parameter in enumerate(parameters, 1):
        try:
            return as_dict(_call(api, method, {parameter: row_id}).get("results"))
        except Rejected as error:
            if error.status == 404 or "not_found" in (error.code or ""):
                return {}
            if number == len(parameters):
                raise
    return {}


def _list(api: Any, method: str, **parameters: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of all pages."""
    cursor: dict[str, Any] = {}
    count = 0
    while count < MAX_ROWS:
        data = _call(api, method, parameters | cursor)
        if not isinstance(data.get("results"), list):
            raise TemporaryFailure("Ashby's response is not a list.")
        count += len(data["results"])
        yield from map(as_dict, data["results"])
        cursor = {"cursor": data.get("nextCursor")}
        if not data.get("moreDataAvailable") or not cursor["cursor"]:
            return
    raise Rejected(f"Ashby's list has more than {MAX_ROWS} rows.")


def _call(api: Any, method: str, body: dict[str, Any]) -> dict[str, Any]:
    try:
        reply = api.call(
            "POST", API + method, json=body, basic=(api.credential["apiKey"], ""), headers=HEADERS
        )
    except Rejected as error:
        # Ashby sends this error with status 200, too.
        if error.code == "missing_endpoint_permission":
            raise CredentialRejected(error.message, error.status, error.code) from None
        raise
    return as_dict(reply.data)
