"""A stand-in for Greenhouse: webhooks, OAuth tokens and the Harvest API v3."""

import itertools
import math
import re
import secrets
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

from tests.integrations.stand_in import FORM, Account, RateLimit, Reply, Request, StandIn, as_json

OPERATIONS = {
    ("POST", "/token"): "token",
    ("GET", "/v3/applications"): "applications",
    ("GET", "/v3/candidates"): "candidates",
    ("GET", "/v3/jobs"): "jobs",
    ("GET", "/v3/job_interview_stages"): "stages",
    ("POST", "/v3/notes"): "create_note",
    ("GET", "/v3/notes"): "notes",
}
PARAMETERS = {
    "applications": ("ids", "job_ids", "status", "per_page"),
    "candidates": ("ids", "per_page"),
    "jobs": ("ids", "status", "per_page"),
    "stages": ("job_ids", "per_page"),
    "notes": ("candidate_ids", "per_page"),
}
FILTERS = {"ids": "id", "job_ids": "job_id", "status": "status", "candidate_ids": "candidate_id"}
VISIBILITIES = ("public", "private", "admin_only")
MINUTE = 60
TOKEN_SECONDS = 3600
# Field patterns of the vendor's credential and our settings.
CREDENTIAL, SETTINGS = ("secret", "sub", "user", "client"), ("visib", "user")


class GreenhouseAccount(Account):
    """A customer's account. Its attributes choose what is unverified.

    expiry -- the token's field: "expires_in", "expires_at", or None
    wrong_credential -- the status for an invalid credential: 400, 401 or 403
    sub -- the number of the acting user; None without
    note_user -- the `user_id` that notes must have; None without
    can_email -- whether candidates have `can_email`, and its value
    can_list_notes -- whether the credential has the scope
    repeats_event_id -- whether a retry has the first delivery's id
    has_rate_headers -- whether responses have X-RateLimit headers
    """

    WAITS = tuple(minutes * MINUTE for minutes in (1, 15, 60, 120, 240, 480))
    system = "greenhouse"
    READ, WRITE, LIST = "applications", "create_note", "notes"

    def __init__(self, server: "GreenhouseServer"):
        super().__init__()
        self.server = server
        self.client_id, self.client_secret = f"client-{secrets.token_hex(6)}", secrets.token_hex(20)
        self.sub: int | None = 4711
        self.note_user: int | None = None
        self.visibility = "public"
        self.expiry: str | None = "expires_in"
        self.wrong_credential = 401
        self.can_email: bool | None = None
        self.can_list_notes = True
        self.repeats_event_id = True
        self.has_rate_headers = False
        self.page_size = 500
        self.tokens: dict[str, float] = {}
        self.rows: dict[str, list[dict[str, Any]]] = {
            name: [] for name in ("applications", "candidates", "jobs", "stages", "notes")
        }

    # The customer's view

    @property
    def form(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Values of the credential and of the settings, by a part of the field's name."""
        sub = None if self.sub is None else str(self.sub)
        user = None if self.note_user is None else str(self.note_user)
        credential = {"secret": self.client_secret, "sub": sub, "user": sub, "client": self.client_id}
        return credential, {"visib": self.visibility, "user": user}

    @property
    def secrets(self) -> list[str]:
        return [self.client_secret, self.secret, *self.tokens]

    def add_job(self, name: str) -> str:
        return self._add("jobs", name=name, status="open")

    def add_stage(self, name: str, job: str) -> str:
        return self._add("stages", name=name, active=True, job_id=int(job))

    def apply(
        self, job: str, stage: str, *addresses: str, first: str | None = "Ada", last: str | None = "Lovelace"
    ) -> str:
        """Add a candidate with these personal addresses and an application. Return the application's id."""
        emails = [{"value": address, "type": "personal"} for address in addresses]
        may = {} if self.can_email is None else {"can_email": self.can_email}
        candidate = self._add("candidates", first_name=first, last_name=last, email_addresses=emails, **may)
        return self._add(
            "applications", candidate_id=int(candidate), job_id=int(job), status="in_process",
            job_interview_stage_id=int(stage), prospect=False,
        )  # fmt: skip

    def application(self, id: str) -> dict[str, Any]:
        return self._get("applications", int(id))

    def candidate_of(self, application: str) -> dict[str, Any]:
        return self._get("candidates", self.application(application)["candidate_id"])

    def set_address(self, application: str, *emails: dict[str, str]) -> None:
        self.candidate_of(application)["email_addresses"] = list(emails)

    def set_stage(self, application: str, stage: str) -> None:
        self.application(application)["job_interview_stage_id"] = int(stage)

    def leave(self, application: str, how: str = "rejected") -> None:
        """Reject or hire."""
        self.application(application)["status"] = how

    def forbid_email(self, application: str) -> None:
        self.candidate_of(application)["can_email"] = False

    def merge(self, application: str) -> str:
        """Merge the candidate into a new one, which the application belongs to then. Return its id."""
        merged = self.candidate_of(application)
        copy = {name: value for name, value in merged.items() if name != "id"}
        self.rows["candidates"].remove(merged)
        new = self._add("candidates", **copy)
        self.application(application)["candidate_id"] = int(new)
        return new

    def remove(self, application: str) -> tuple[bytes, dict[str, str]]:
        """Delete the candidate, and return the webhook."""
        row, candidate = self.application(application), self.candidate_of(application)
        self.rows["candidates"].remove(candidate)
        self.rows["applications"].remove(row)
        person = {"id": candidate["id"], "deleted_application_ids": [row["id"]]}
        return self.event("delete_candidate", {"person": person})

    def notes_of(self, application: str) -> list[str]:
        """Return the texts of the application's notes."""
        candidate = self.application(application)["candidate_id"]
        return [
            note["body"]
            for note in self.rows["notes"]
            if note["candidate_id"] == candidate or note.get("application_id") == int(application)
        ]

    # Webhooks

    def event(self, action: str, payload: Any, signed: bool = True) -> tuple[bytes, dict[str, str]]:
        body = as_json({"action": action, "payload": payload})
        headers = {"Content-Type": "application/json", "Greenhouse-Event-ID": str(uuid.uuid4())}
        return body, headers | ({"Signature": f"sha256 {self.sign(body)}"} if signed else {})

    def headers_of_retry(self, headers: dict[str, str]) -> dict[str, str]:
        return headers if self.repeats_event_id else headers | {"Greenhouse-Event-ID": str(uuid.uuid4())}

    def is_success(self, status: int) -> bool:
        return status == 200

    def ping(self, signed: bool = True, payload: Any = None) -> list[int]:
        """Send the ping once: a webhook whose ping fails is created, but disabled."""
        settings = {"name": "Assessments <new>", "web_hook_url": "https://example.com"}
        return [self.send_once(*self.event("ping", settings if payload is None else payload, signed))]

    def stage_change(self, application: str, stage: str | None = None, **fields: Any):
        """Build a webhook, with `fields` in the candidate."""
        row, candidate = self.application(application), self.candidate_of(application)
        current = self._get("stages", int(stage) if stage else row["job_interview_stage_id"])
        job = self._get("jobs", row["job_id"])
        person = candidate | {
            "can_email": self.can_email is not False,
            "is_private": False,
            "photo_url": "https://photos.example/zqphoto.png",
            "phone_numbers": [{"value": "+1 212 555 0142", "type": "mobile"}],
            "addresses": [{"value": "1 Zqstreet <3rd floor> & more", "type": "home"}],
            "attachments": [{"filename": "zqresume.pdf", "url": "https://files.example/zqresume"}],
            "custom_fields": {"salary": {"name": "Salary", "value": "zqsalary"}},
            "some_new_field": {"nul": "zq\x00", "surrogate": "\ud800"},
        }
        return self.event(
            "candidate_stage_change",
            {
                "application": {
                    "id": row["id"],
                    "status": {"in_process": "active"}.get(row["status"], row["status"]),
                    "prospect": False,
                    "url": f"https://app.greenhouse.io/people/{candidate['id']}",
                    "current_stage": {"id": current["id"], "name": current["name"], "interviews": []},
                    "candidate": person | fields,
                    "jobs": [{"id": job["id"], "name": job["name"], "notes": "<p>zqjobnotes & more</p>"}],
                }
            },
        )

    def move(self, application: str, stage: str) -> list[int]:
        """Move the application, and deliver the webhook."""
        self.set_stage(application, stage)
        return self.send(*self.stage_change(application))

    # Rows

    def _add(self, kind: str, **values: Any) -> str:
        with self.server.lock:
            row = {"id": next(self.server.ids)} | values
            self.rows[kind].append(row)
        return str(row["id"])

    def _get(self, kind: str, id: int) -> dict[str, Any]:
        return next(row for row in reversed(self.rows[kind]) if row["id"] == id)


class GreenhouseServer(StandIn):
    """Hosts of the token and of the API, with any number of accounts."""

    HOSTS = ("harvest.greenhouse.io", "auth.greenhouse.io")

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        # Long numbers, which are easy to search for.
        self.ids = itertools.count(4_072_653_770_001, 97)
        self.accounts: list[GreenhouseAccount] = []
        # The vendor does not know that its origin is replaced.
        self.link_origin = f"https://{self.HOSTS[0]}"
        self.cursors: dict[str, tuple[str, dict[str, str], int]] = {}

    def add_account(self, **options: Any) -> GreenhouseAccount:
        account = GreenhouseAccount(self)
        for name, value in options.items():
            assert hasattr(account, name), name
            setattr(account, name, value)
        self.accounts.append(account)
        return account

    def operation_of(self, request: Request) -> str | None:
        return OPERATIONS.get((request.method, request.path))

    def perform(self, operation: str, request: Request) -> Reply:
        with self.lock:
            return self._issue_token(request) if operation == "token" else self._call(operation, request)

    def _issue_token(self, request: Request) -> Reply:
        self.require(request.media_type == FORM, f"The token's request is {request.media_type!r}.")
        form = parse_qsl(request.body.decode(), keep_blank_values=True, strict_parsing=True)
        user, password = request.basic or ("", "")
        account = next((account for account in self.accounts if account.client_id == user), None)
        self.check_fields("token", [name for name, _ in form], ["grant_type"], ["sub"])
        self.require(len(form) == len(dict(form)), "The token's request repeats a field.")
        self.require(
            ("grant_type", "client_credentials") in form, "The grant_type is not client_credentials."
        )
        if account is None or account.client_secret != password:
            return Reply(account.wrong_credential if account else 401, {"error": "invalid_client"})
        expected = None if account.sub is None else str(account.sub)
        self.require(dict(form).get("sub") == expected, f"The sub is not {expected}.")
        token = f"token-{secrets.token_hex(12)}"
        account.tokens[token] = self.now() + TOKEN_SECONDS
        answer: dict[str, Any] = {"access_token": token, "token_type": "Bearer"}
        if account.expiry == "expires_in":
            answer["expires_in"] = TOKEN_SECONDS
        elif account.expiry == "expires_at":
            answer["expires_at"] = (datetime.now(UTC) + timedelta(seconds=TOKEN_SECONDS)).isoformat()
        return Reply(200, answer)

    def _call(self, operation: str, request: Request) -> Reply:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        self.require(scheme == "Bearer" and token, "The call has no bearer token.")
        account = next((account for account in self.accounts if token in account.tokens), None)
        if account is None or account.tokens[token] <= self.now():
            return Reply(401, {"message": "Invalid or expired access token."})
        headers: dict[str, str] = {}
        if (limit := account.limit) is not None:
            is_admitted = limit.admits(self.now())
            if account.has_rate_headers:
                headers = rate_headers(limit, self.now())
            if not is_admitted:
                if account.has_retry_after:
                    headers["Retry-After"] = str(math.ceil(limit.reset_in(self.now())))
                return Reply(429, {"message": "Too many requests."}, headers)
        if operation == "create_note":
            reply = self._create_note(account, request)
        else:
            reply = self._list(account, operation, request)
        return reply._replace(headers={**reply.headers, **headers})

    def _list(self, account: GreenhouseAccount, operation: str, request: Request) -> Reply:
        self.require(len(request.query) == len(request.parameters), "A parameter is repeated.")
        parameters, start = request.parameters, 0
        if "cursor" in parameters:
            self.require(len(parameters) == 1, "The cursor is not the only parameter.")
            cursor = self.cursors.get(parameters["cursor"])
            self.require(cursor and cursor[0] == operation, "The cursor is not from a Link header.")
            if cursor is None:
                return Reply(422, {"message": "Invalid cursor."})
            _, parameters, start = cursor
        self.check_fields(operation, parameters, [], PARAMETERS[operation])
        per_page = parameters.get("per_page", "100")
        self.require(per_page.isdigit() and 1 <= int(per_page) <= 500, f"per_page is {per_page}.")
        if operation == "notes" and not account.can_list_notes:
            return Reply(403, {"message": "The credential lacks the scope harvest:notes:list."})
        rows = [row for row in account.rows[operation] if matches(row, parameters)]
        size = min(int(per_page), account.page_size)
        headers = {}
        if len(rows) > start + size:
            cursor_id = secrets.token_urlsafe(9)
            self.cursors[cursor_id] = operation, parameters, start + size
            headers["Link"] = f'<{self.link_origin}{request.path}?cursor={cursor_id}>; rel="next"'
        return Reply(200, [self._shown(operation, row) for row in rows[start : start + size]], headers)

    def _shown(self, operation: str, row: dict[str, Any]) -> dict[str, Any]:
        if operation != "notes":
            return row
        return {name: value for name, value in row.items() if name not in ("note_type", "visibility")} | {
            "type": row["note_type"]
        }

    def _create_note(self, account: GreenhouseAccount, request: Request) -> Reply:
        self.require(not request.query, "POST /notes has parameters.")
        note = self.read_json(request)
        required = ["candidate_id", "body", "note_type", "visibility"]
        if account.note_user is not None:
            required.append("user_id")
            self.require(note.get("user_id") == account.note_user, f"user_id is {note.get('user_id')!r}.")
        self.check_fields("POST /notes", note, required, ["application_id"])
        for name in {"candidate_id", "application_id", "user_id"} & set(note):
            self.require(type(note[name]) is int, f"{name} is not a number: {note[name]!r}.")
        self.require(note.get("note_type") == "NOTE", f"note_type is {note.get('note_type')!r}.")
        self.require(note.get("visibility") in VISIBILITIES, f"visibility is {note.get('visibility')!r}.")
        self.require(
            note.get("visibility") == account.visibility, "The visibility is not the configured one."
        )
        body = note.get("body")
        self.require(isinstance(body, str) and body.strip(), "The note has no text.")
        self.require(not re.search(r"</?[a-zA-Z]", str(body)), f"The note has HTML: {body!r}.")
        candidates = {row["id"] for row in account.rows["candidates"]}
        if note.get("candidate_id") not in candidates:
            self.violate(f"A note for candidate {note.get('candidate_id')!r}, who does not exist.")
            return Reply(404, {"message": "Resource not found"})
        if "application_id" in note:
            row = next(
                (row for row in account.rows["applications"] if row["id"] == note["application_id"]), None
            )
            self.require(
                row and row["candidate_id"] == note["candidate_id"], "The application is another candidate's."
            )
        stored = account._add("notes", **note)
        return Reply(201, {"id": int(stored)})


def matches(row: dict[str, Any], parameters: dict[str, str]) -> bool:
    """Return whether a row passes the filters; several values are separated by commas."""
    filters = {FILTERS[name]: value.split(",") for name, value in parameters.items() if name in FILTERS}
    return all(str(row.get(column)) in values for column, values in filters.items())


def rate_headers(limit: RateLimit, now: float) -> dict[str, str]:
    return {"X-RateLimit-Limit": str(limit.count), "X-RateLimit-Remaining": str(limit.remaining)}
