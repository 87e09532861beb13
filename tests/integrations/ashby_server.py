"""A stand-in for Ashby: webhooks and the API."""

import secrets
import uuid
from typing import Any

from tests.integrations.stand_in import Account, Reply, Request, StandIn, as_json

# Required and optional fields of each call's body.
CALLS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "application.info": (("applicationId",), ()),
    "application.list": ((), ("cursor", "limit", "status", "jobId")),
    "candidate.info": (("id",), ()),
    "interviewPlan.list": ((), ("cursor", "limit")),
    "interviewStage.list": (("interviewPlanId",), ()),
    "job.list": ((), ("cursor", "limit", "status")),
    "candidate.listNotes": (("candidateId",), ("cursor", "limit")),
    "candidate.createNote": (("candidateId", "note", "sendNotifications"), ("isPrivate",)),
    "customField.list": ((), ("cursor", "limit")),
    "customField.setValue": (("objectType", "objectId", "fieldId", "fieldValue"), ()),
}
# A caller can try other names of these parameters.
UNVERIFIED = ("application.info", "candidate.info")
PERMISSIONS = {
    "candidatesRead": ("application.info", "application.list", "candidate.info", "candidate.listNotes"),
    "candidatesWrite": ("candidate.createNote", "customField.setValue"),
    "interviewsRead": ("interviewPlan.list", "interviewStage.list"),
    "jobsRead": ("job.list",),
    "hiringProcessMetadataRead": ("customField.list",),
}


class AshbyAccount(Account):
    """A customer's account. Its attributes choose what is unverified.

    wrong_key -- the status for an invalid key
    has_titles -- whether an application's stage has a title
    has_address -- whether an application's candidate has an address, or only `candidate.info`
    note_field -- the text's name in a list of notes
    has_object_errors -- whether `errors` has objects instead of strings
    mark_field -- the id of the custom field that is configured; None without
    is_private -- the configured visibility of notes; None if it is not sent
    """

    WAITS = tuple((2**n - 1) * 10 for n in range(1, 10))
    FINAL = frozenset((401, 403, 404, 405, 410))
    system = "ashby"
    READ, WRITE, LIST = "application.info", "candidate.createNote", "candidate.listNotes"

    def __init__(self, server: "AshbyServer"):
        super().__init__()
        self.server = server
        self.key = secrets.token_hex(24)
        self.permissions = set(PERMISSIONS)
        self.wrong_key = 403
        self.has_titles = True
        self.has_address = True
        self.note_field = "content"
        self.has_object_errors = False
        self.mark_field: str | None = None
        self.page_size = 100
        self.plan = {"id": str(uuid.uuid4()), "title": "Engineering", "isArchived": False}
        self.jobs: list[dict[str, Any]] = []
        self.stages: list[dict[str, Any]] = []
        self.candidates: dict[str, dict[str, Any]] = {}
        self.applications: dict[str, dict[str, Any]] = {}
        self.notes: list[dict[str, Any]] = []
        self.marks: list[tuple[str, Any]] = []

    # The customer's view

    @property
    def form(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return {"key": self.key}, {"field": self.mark_field, "mark": self.mark_field}

    @property
    def secrets(self) -> list[str]:
        return [self.key, self.secret]

    def add_job(self, name: str) -> str:
        plans = {"interviewPlanIds": [self.plan["id"]], "defaultInterviewPlanId": self.plan["id"]}
        self.jobs.append({"id": str(uuid.uuid4()), "title": name, "status": "Open"} | plans)
        return self.jobs[-1]["id"]

    def add_stage(self, name: str, job: str) -> str:
        position = {"orderInInterviewPlan": len(self.stages), "type": "Active"}
        stage = {"id": str(uuid.uuid4()), "title": name, "interviewPlanId": self.plan["id"]}
        self.stages.append(stage | position)
        return stage["id"]

    def apply(
        self, job: str, stage: str, *addresses: str, first: str | None = "Ada", last: str | None = "Lovelace"
    ) -> str:
        """Add a candidate, whose first address is the primary one, and an application. Return its id."""
        candidate = {"id": str(uuid.uuid4()), "name": " ".join(filter(None, (first, last)))}
        application = {"id": str(uuid.uuid4()), "candidate": candidate["id"], "job": job, "stage": stage}
        with self.server.lock:
            self.candidates[candidate["id"]] = candidate
            self.applications[application["id"]] = application | {"status": "Active"}
        emails = [{"value": address, "type": "Personal"} for address in addresses]
        self.set_address(application["id"], *emails)
        return application["id"]

    def candidate_of(self, application: str) -> dict[str, Any]:
        return self.candidates[self.applications[application]["candidate"]]

    def set_address(self, application: str, *emails: dict[str, str]) -> None:
        candidate = self.candidate_of(application)
        candidate.pop("primaryEmailAddress", None)
        addresses = [email | {"isPrimary": not number} for number, email in enumerate(emails)]
        candidate["emailAddresses"] = addresses
        if addresses:
            candidate["primaryEmailAddress"] = addresses[0]

    def set_stage(self, application: str, stage: str) -> None:
        self.applications[application]["stage"] = stage

    def leave(self, application: str, how: str = "rejected") -> None:
        """Archive or hire."""
        self.applications[application]["status"] = {"rejected": "Archived", "hired": "Hired"}[how]

    def merge(self, application: str) -> str:
        """Merge the candidate into a new one, which the application belongs to then. Return its id."""
        old = self.candidate_of(application)
        new = old | {"id": str(uuid.uuid4())}
        with self.server.lock:
            self.candidates[new["id"]] = new
            del self.candidates[old["id"]]
            self.applications[application]["candidate"] = new["id"]
        return new["id"]

    def remove(self, application: str) -> tuple[bytes, dict[str, str]]:
        """Delete the candidate, and return the webhook."""
        candidate = self.candidate_of(application)
        del self.applications[application]
        del self.candidates[candidate["id"]]
        return self.event("candidateDelete", {"candidate": {"id": candidate["id"]}})

    def notes_of(self, application: str) -> list[str]:
        """Return the texts of the candidate's notes."""
        candidate = self.applications[application]["candidate"]
        return [note["text"] for note in self.notes if note["candidateId"] == candidate]

    # Webhooks

    def event(self, action: str, data: Any, signed: bool = True, id: str | None = None):
        body = as_json({"webhookActionId": id or str(uuid.uuid4()), "action": action, "data": data})
        headers = {"Content-Type": "application/json"}
        return body, headers | ({"Ashby-Signature": f"sha256={self.sign(body)}"} if signed else {})

    def ping(self, signed: bool = True, payload: Any = None) -> list[int]:
        return [self.send_once(*self.event("ping", payload or {}, signed))]

    def stage_change(self, application: str, stage: str | None = None, action: str = "candidateStageChange",
                     id: str | None = None, **fields: Any):  # fmt: skip
        """Build a webhook, with `fields` in the candidate."""
        shown = self.shown(application, stage)
        more = {
            "submitterClientIp": "203.0.113.142",
            "submitterUserAgent": "Zqagent/1.0 <new> & old",
            "someNewField": {"nul": "zq\x00", "surrogate": "\ud800"},
        }
        return self.event(
            action, {"application": shown | more | {"candidate": shown["candidate"] | fields}}, id=id
        )

    def move(self, application: str, stage: str) -> list[int]:
        """Move the application, and deliver the webhooks: the change also causes an update with the same id."""
        self.set_stage(application, stage)
        id = str(uuid.uuid4())
        self.send(*self.stage_change(application, action="applicationUpdate", id=id))
        return self.send(*self.stage_change(application, id=id))

    # What the API shows

    def shown(self, application: str, stage: str | None = None) -> dict[str, Any]:
        row, candidate = self.applications[application], self.candidate_of(application)
        current = next(each for each in self.stages if each["id"] == (stage or row["stage"]))
        job = next(each for each in self.jobs if each["id"] == row["job"])
        names = ["id", "name", *(["primaryEmailAddress"] if self.has_address else [])]
        stage_names = ["id", "interviewPlanId", *(["title"] if self.has_titles else [])]
        return {
            "id": row["id"],
            "createdAt": "2026-03-01T09:00:00.000Z",
            "status": row["status"],
            "candidate": {name: candidate[name] for name in names if name in candidate},
            "currentInterviewStage": {name: current[name] for name in stage_names},
            "job": {"id": job["id"], "title": job["title"]},
            "hiringTeam": [{"email": "zqteam@example.com", "firstName": "Zqteam", "role": "Recruiter"}],
            **({"archivedAt": "2026-03-02T09:00:00.000Z"} if row["status"] == "Archived" else {}),
        }


class AshbyServer(StandIn):
    """The API's host, with any number of accounts."""

    HOSTS = ("api.ashbyhq.com",)

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.accounts: list[AshbyAccount] = []

    def add_account(self, **options: Any) -> AshbyAccount:
        account = AshbyAccount(self)
        for name, value in options.items():
            assert hasattr(account, name), name
            setattr(account, name, value)
        self.accounts.append(account)
        return account

    def operation_of(self, request: Request) -> str | None:
        name = request.path.removeprefix("/")
        return name if request.method == "POST" and name in CALLS else None

    def perform(self, operation: str, request: Request) -> Reply:
        with self.lock:
            return self._call(operation, request)

    def _call(self, operation: str, request: Request) -> Reply:
        accept = request.headers.get("accept")
        self.require(accept == "application/json; version=1", f"Accept is {accept!r}.")
        self.require(not request.query, f"{operation} has parameters in its URL.")
        user, password = request.basic or ("", "")
        self.require(user, f"{operation} has no key.")
        self.require(not password, f"{operation} has a password.")
        body = self.read_json(request)
        if operation not in UNVERIFIED or CALLS[operation][0][0] in body:
            self.check_fields(operation, body, *CALLS[operation])
        account = next((account for account in self.accounts if account.key == user), None)
        if account is None:
            status = self.accounts[0].wrong_key if self.accounts else 403
            return Reply(status, {"success": False, "errors": ["invalid_api_key"]})
        if account.limit is not None and not account.limit.admits(self.now()):
            wait = {"Retry-After": str(int(account.limit.reset_in(self.now())) + 1)}
            return Reply(429, {"errors": ["rate_limited"]}, wait if account.has_retry_after else {})
        permission = next(name for name, calls in PERMISSIONS.items() if operation in calls)
        if permission not in account.permissions:
            return Reply(403, {"success": False, "errors": ["missing_endpoint_permission"]})
        return getattr(self, "_" + operation.replace(".", "_"))(account, body)

    def _page(self, account: AshbyAccount, rows: list[Any], body: dict[str, Any]) -> Reply:
        start = int(body.get("cursor", "0"))
        more = len(rows) > start + account.page_size
        paging = {"moreDataAvailable": more} | (
            {"nextCursor": str(start + account.page_size)} if more else {}
        )
        return Reply(200, {"success": True, "results": rows[start : start + account.page_size]} | paging)

    def _application_info(self, account: AshbyAccount, body: dict[str, Any]) -> Reply:
        application = body.get("applicationId")
        if application not in account.applications:
            return failure(account, "application_not_found")
        return Reply(200, {"success": True, "results": account.shown(application)})

    def _application_list(self, account: AshbyAccount, body: dict[str, Any]) -> Reply:
        return self._page(account, [account.shown(id) for id in account.applications], body)

    def _candidate_info(self, account: AshbyAccount, body: dict[str, Any]) -> Reply:
        if body.get("id") not in account.candidates:
            return failure(account, "candidate_not_found")
        return Reply(200, {"success": True, "results": account.candidates[body["id"]]})

    def _interviewPlan_list(self, account: AshbyAccount, body: dict[str, Any]) -> Reply:
        return self._page(account, [account.plan], body)

    def _interviewStage_list(self, account: AshbyAccount, body: dict[str, Any]) -> Reply:
        stages = [
            stage for stage in account.stages if stage["interviewPlanId"] == body.get("interviewPlanId")
        ]
        return Reply(200, {"success": True, "results": stages, "moreDataAvailable": False})

    def _job_list(self, account: AshbyAccount, body: dict[str, Any]) -> Reply:
        return self._page(account, account.jobs, body)

    def _candidate_listNotes(self, account: AshbyAccount, body: dict[str, Any]) -> Reply:
        notes = [
            {"id": note["id"], account.note_field: note["text"]}
            for note in account.notes
            if note["candidateId"] == body.get("candidateId")
        ]
        return self._page(account, notes, body)

    def _candidate_createNote(self, account: AshbyAccount, body: dict[str, Any]) -> Reply:
        note = body.get("note")
        self.require(isinstance(note, str) and note.strip(), "The note is not a text.")
        self.require(body.get("sendNotifications") is False, "sendNotifications is not false.")
        self.require(isinstance(body.get("isPrivate", False), bool), "isPrivate is no boolean.")
        if body.get("candidateId") not in account.candidates:
            self.violate(f"A note for candidate {body.get('candidateId')!r}, who does not exist.")
            return failure(account, "candidate_not_found")
        stored = {"id": str(uuid.uuid4()), "candidateId": body["candidateId"], "text": note}
        account.notes.append(stored)
        return Reply(200, {"success": True, "results": {"id": stored["id"], "content": note}})

    def _customField_list(self, account: AshbyAccount, body: dict[str, Any]) -> Reply:
        fields = [
            {
                "id": account.mark_field,
                "title": "Assessment",
                "objectType": "Application",
                "fieldType": "String",
            }
        ]
        return self._page(account, fields if account.mark_field else [], body)

    def _customField_setValue(self, account: AshbyAccount, body: dict[str, Any]) -> Reply:
        self.require(body.get("objectType") == "Application", f"objectType is {body.get('objectType')!r}.")
        self.require(body.get("fieldId") == account.mark_field, f"fieldId is {body.get('fieldId')!r}.")
        if body.get("objectId") not in account.applications:
            return failure(account, "application_not_found")
        account.marks.append((body["objectId"], body.get("fieldValue")))
        return Reply(200, {"success": True, "results": {}})


def failure(account: AshbyAccount, code: str) -> Reply:
    """A 200 that carries a failure."""
    error = {"code": code, "message": "It failed."} if account.has_object_errors else code
    return Reply(200, {"success": False, "errors": [error]})
