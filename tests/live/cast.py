"""Reviewers' and candidates' requests."""

import hashlib
import io
import tarfile
import uuid
from typing import Any
from urllib.parse import urlsplit

from tests.live.client import Client, Response, call
from tests.live.service import Service

MAX_KEYS_PER_REQUEST = 50
# Copy the session's event, and replace NUMBER in each copy.
COPY_EVENT = """
    WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < %s)
    INSERT INTO events (session_id, event_id, kind, source, time_ns, received_at, late, subject, size, verdict,
        envelope)
    SELECT session_id, replace(event_id, 'NUMBER', CAST(1000000 + n AS TEXT)), kind, source, time_ns + n, received_at,
        late, subject, size, verdict, replace(envelope, 'NUMBER', CAST(1000000 + n AS TEXT))
    FROM events CROSS JOIN numbers WHERE session_id = %s
"""
ASSESSMENT = {"title": "Backend API Challenge", "role": "Senior Backend Engineer", "taskBrief": "Fix it."}


def make_assessment(reviewer: Client) -> dict[str, Any]:
    """Create an assessment without a time limit."""
    return reviewer.post("/v1/assessments", ASSESSMENT)["assessment"]


def make_keys(reviewer: Client, assessment: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """Create keys without an email address."""
    path = f"/v1/assessments/{assessment['id']}/keys"
    keys: list[dict[str, Any]] = []
    while len(keys) < count:
        keys += reviewer.post(path, {"count": min(MAX_KEYS_PER_REQUEST, count - len(keys))})["keys"]
    return keys


def invite(reviewer: Client, assessment: dict[str, Any], *addresses: str, **fields: Any) -> Response:
    """Create a key for each address."""
    body = {"count": len(addresses), "candidateEmails": addresses} | fields
    return reviewer.post(f"/v1/assessments/{assessment['id']}/keys", body)


def list_keys(reviewer: Client, assessment: dict[str, Any]) -> list[dict[str, Any]]:
    return reviewer.get(f"/v1/assessments/{assessment['id']}/keys")["keys"]


def give_consent(service: Service, key: str) -> None:
    """Consent to a disclosure that the service did not send, which names no channel."""
    assert service.anonymous.post("/v1/candidate/consent", {"key": key}).status == 200


def agree_to_recording(service: Service, key: str) -> None:
    """Consent to the current disclosure."""
    disclosure = service.anonymous.get(f"/v1/candidate/consent?key={key}")
    body = {"key": key, "disclosureHash": disclosure["disclosureHash"]}
    assert service.anonymous.post("/v1/candidate/consent", body).status == 200


def start_session(service: Service, key: str) -> str:
    """Consent to the current disclosure, redeem the key, and return the session's id."""
    agree_to_recording(service, key)
    return service.anonymous.post("/v1/candidate/redeem", {"key": key})["sessionId"]


class Candidate(Client):
    """A candidate with an open session."""

    def __init__(self, service: Service, key: dict[str, Any]):
        super().__init__(service.port, **{"X-API-Key": key["key"]})
        self.id, self.key = key["id"], key["key"]
        self.session_id = start_session(service, self.key)

    def ingest(self, sent: dict[str, Any] | None = None) -> Response:
        """Send an event, by default a new prompt."""
        return self.post("/v1/hooks/ingest", event() if sent is None else sent)

    def open_upload(self) -> dict[str, Any]:
        return self.post("/v1/candidate/upload-url", {"sessionId": self.session_id}).json

    def upload(self, upload: dict[str, Any], bundle: bytes) -> Response:
        url, headers = urlsplit(upload["uploadUrl"]), {"Content-Type": "application/gzip"}
        return call(self.port, "PUT", f"{url.path}?{url.query}", bundle, headers=headers, seconds=60)

    def submit(self, upload: dict[str, Any], bundle: bytes, **fields: Any) -> Response:
        """Submit an uploaded bundle."""
        details = {"bundleSize": len(bundle), "bundleSha256": hashlib.sha256(bundle).hexdigest()}
        body = {"sessionId": self.session_id, "bundleKey": upload["objectKey"]} | details | fields
        return self.post("/v1/candidate/submit-code", body)

    def put_submission(self, content: bytes, media_type: str = "application/x-git-bundle") -> Response:
        headers = self.headers | {"Content-Type": media_type}
        return call(self.port, "PUT", "/v1/candidate/submission", content, headers=headers, seconds=60)

    def submit_git_bundle(self, bundle: bytes) -> None:
        response = self.put_submission(bundle)
        assert response.status == 200, response.text

    def complete(self) -> Response:
        return self.post("/v1/candidate/complete", {"key": self.key, "sessionId": self.session_id})


def make_candidate(service: Service, reviewer: Client, assessment: dict[str, Any]) -> Candidate:
    return Candidate(service, make_keys(reviewer, assessment, 1)[0])


def pack(files: dict[str, bytes]) -> bytes:
    """Build a gzipped tar of files, as the candidate's client submits it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def send_copies(service: Service, candidate: Candidate, sent: dict[str, Any], count: int) -> None:
    """Send an event with NUMBER in its id, and copy it `count` - 1 times in the database."""
    assert candidate.ingest(sent).status == 201
    service.execute(COPY_EVENT, count - 1, service.stored_id(candidate.session_id))


def event(kind: str = "prompt", second: int = 0, **fields: Any) -> dict[str, Any]:
    """Build an event."""
    ts = f"2026-04-01T09:{second // 60:02}:{second % 60:02}.000Z"
    body = {"id": str(uuid.uuid4()), "kind": kind, "ts": ts, "v": 1, "source": "terminal", "data": {}}
    return body | fields
