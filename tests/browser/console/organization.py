"""An organization with everything that the console shows, created through the API, with hostile texts."""

import json
from dataclasses import dataclass
from typing import Any

from tests.git_bundles.bundles import bundle_of_blobs
from tests.live.cast import Candidate, event, make_keys, pack
from tests.live.client import Client, call
from tests.live.service import Service, wait_until

# If it runs, a script sets window.hacked. If it is parsed as HTML, a text loads an image.
MARKUP = '<img src=/hostile.png onerror="window.hacked=1"><script>window.hacked=2</script>'
CLOSING = "</textarea></title></script></style>--><svg onload=window.hacked=3>"
ADDRESS = "javascript:window.hacked=4"
REVERSED = "invoice\u202egpj.exe\u202c \u2067right\u2069 to left"
# Terminal escape sequences, and characters that JSON escapes.
CONTROL = "\u001b[2J\u001b]0;title\u0007\u0000\u0008 \u2028\u2029\ufeff"
EMOJI = "👩🏽‍💻 🏳️‍🌈 z\u0335\u0353a\u0337l\u0338g\u0335o\u0336"
TEMPLATE = "{n} {{7*7}} ${7*7} %s constructor"
UNBROKEN = "x" * 10_000
NAMES = (MARKUP, CLOSING, ADDRESS, REVERSED, EMOJI, TEMPLATE, "W" * 255, "Ada O'Neill & Söhne")
TEXTS = (*NAMES, CONTROL, UNBROKEN)
# Properties of all JavaScript objects.
INHERITED = ("constructor", "__proto__", "toString", "hasOwnProperty")

LEVELS = [
    {"value": 1, "label": "Weak", "description": MARKUP},
    {"value": 2, "label": EMOJI},
    {"value": 3, "label": "Solid", "description": "Finds the cause."},
    {"value": 5, "label": "Strong", "description": "W" * 500},
]
RUBRIC = {
    "name": f"Backend {MARKUP}",
    "criteria": [
        {"key": "quality", "title": "Quality", "description": CLOSING, "levels": LEVELS},
        {"key": "constructor", "title": MARKUP, "weight": 2, "levels": LEVELS},
    ],
}
ASSESSMENT = {
    "title": f"Orders {MARKUP}",
    "role": f"Engineer {REVERSED}",
    "taskBrief": "\n\n".join(TEXTS[:-2]) + "\n" + "x" * 2_000,
    "timeLimitMinutes": 90,
}
BUNDLE = bundle_of_blobs(
    **{
        "orders.py": b"def write(order):\n    return order\n",
        MARKUP.replace("/", "_"): MARKUP.encode(),
        "W" * 200 + ".txt": b"x" * 10_000 + b"\n",
        "reversed\u202etxt.exe": f"{CLOSING}\n{REVERSED}\n{EMOJI}\n".encode(),
        "picture.png": b"\x89PNG\r\n\x1a\n\x00\x00",
    }
)


# Names of hidden tests
TESTS = (MARKUP, CLOSING, ADDRESS, REVERSED, EMOJI, TEMPLATE, "W" * 255)


@dataclass
class Organization:
    """Callers by role, and sessions by state."""

    service: Client
    admin: Client
    bob: Client
    observer: Client
    assessment: dict[str, Any]
    empty_assessment: dict[str, Any]
    sessions: dict[str, str]


def put(client: Client, path: str, body: Any) -> Any:
    response = client.request("PUT", path, body)
    assert response.status in (200, 201), response.text
    return response


def post(client: Client, path: str, body: Any = None) -> Any:
    response = client.post(path, body)
    assert response.status in (200, 201), response.text
    return response


def put_file(client: Client, path: str, files: dict[str, bytes]) -> None:
    headers = client.headers | {"Content-Type": "application/gzip", "Connection": "close"}
    response = call(client.port, "PUT", path, pack(files), headers=headers, seconds=60)
    assert response.status == 200, response.text


class Runner:
    """A runner that reports outcomes without running anything."""

    def __init__(self, team: Client):
        created = post(team, "/v1/org/runners", {"name": "build-1"})
        self.team, self.id = team, created["runner"]["id"]
        self.client = Client(team.port, Authorization=f"Bearer {created['secret']}")

    def run(self, passed: Any, failed: Any = (), state: str = "finished", **fields: Any) -> None:
        """Run the next job. The parameters are the tests' names."""
        claim = {"runner": "build-1", "engine": "podman"}
        job = post(self.client, "/v1/runner/jobs/claim", claim)["job"]
        tests = [{"name": name, "outcome": "passed", "durationMs": n} for n, name in enumerate(passed)]
        output = f"{MARKUP}\n{REVERSED}" * 200
        tests += [{"name": name, "outcome": "failed", "output": output} for name in failed]
        body = {"attempt": job["attempt"], "state": state, "tests": tests}
        put(self.client, f"/v1/runner/jobs/{job['id']}/result", body | fields)

    def run_check(self, names: Any, unstable: Any = ()) -> None:
        """Run a check that finds the task ready."""
        self.run((), (*names, *unstable))
        for _ in range(4):
            self.run((*names, *unstable))
        self.run(names, unstable)

    def prepare_task(self, assessment: dict[str, Any], names: Any, **settings: Any) -> None:
        """Upload a task, and check it."""
        path = f"/v1/assessments/{assessment['id']}"
        settings = {"version": 1, "command": "make test"} | settings
        put_file(self.team, f"{path}/repository", {"orders.py": b"pass\n"})
        put_file(self.team, f"{path}/tests", {"tests.json": json.dumps(settings).encode()})
        put_file(self.team, f"{path}/reference", {"orders.py": b"run()\n"})
        assert self.team.post(f"{path}/tests/check").status == 202
        self.run_check(names)


def add_person(team: Client, name: str, role: str = "reviewer") -> Client:
    """Add a person, and return a client with their token."""
    body = {"name": name, "email": f"{name.split()[0].lower()}@northwind.example", "role": role}
    user_id = post(team, "/v1/org/people", body)["person"]["id"]
    scopes = ["read"] if role == "observer" else ["read", "write"]
    secret = post(team, "/v1/org/tokens", {"name": "Laptop", "personId": user_id, "scopes": scopes})["secret"]
    return Client(team.port, Authorization=f"Bearer {secret}")


def create_admin(site: Service, team: Client, name: str) -> Client:
    """Create the organization's first admin, and return a client with their token."""
    organization, address = team.get("/v1/me")["orgId"], "admin@northwind.example"
    site.flask("person", "create", organization, address, "--name", name)
    token = site.flask("token", "create", organization, "--person", address).split()[-1]
    return Client(site.port, Authorization=f"Bearer {token}")


def hostile_events() -> list[dict[str, Any]]:
    """Build events with each text in each visible field, with missing fields, and with fields of unexpected types."""
    texts = [
        *({"kind": "prompt", "data": {"text": text}} for text in TEXTS),
        *(
            {"kind": "ai_response", "data": {"lastAssistantMessage": text, "model": text}}
            for text in TEXTS[:3]
        ),
        *({"kind": "command", "data": {"command": text, "stdout": text, "exitCode": 1}} for text in TEXTS),
        *({"kind": "command", "data": {"command": f"pytest {n}", "exitCode": n % 2}} for n in range(6)),
        *(
            {
                "kind": "file_diff",
                "data": {"path": text, "diff": f"--- a/{text}\n+++ b/{text}\n@@ -1 +1 @@\n-old\n+{text}\n"},
                "provenance": {"attribution": attribution},
            }
            for text, attribution in zip(
                TEXTS, ("likely_ai", "likely_human", "mixed", "ai_revised_by_human") * 3, strict=False
            )
        ),
        *(
            {"kind": "web_lookup", "data": {"url": text, "query": text}}
            for text in (ADDRESS, MARKUP, REVERSED)
        ),
        *(
            {"kind": "tool_use", "data": {"toolName": text, "input": {text: [text]}, "ok": False}}
            for text in TEXTS
        ),
        {"kind": "test_run", "data": {"passed": 7, "failed": 1, "command": MARKUP}},
        *(
            {"kind": "decision_event", "data": dict.fromkeys(("title", "chosenOption", "rationale"), text)}
            for text in (MARKUP, REVERSED)
        ),
        {
            "kind": "decision_event",
            "data": {"title": ["a", "list"], "rationale": 7, "options": {MARKUP: None}},
        },
        {"kind": "error", "data": {"message": CONTROL}},
    ]
    odd = [{"kind": kind, "source": kind, "data": {kind: kind}} for kind in (*INHERITED, "x y", MARKUP[:60])]
    odd += [
        {"kind": kind, "data": {}} for kind in ("prompt", "command", "file_diff", "ai_response", "test_run")
    ]
    odd += [{"kind": "command", "data": {"command": {"a": [1]}, "exitCode": "0"}}]
    return [event(second=10 * number, **fields) for number, fields in enumerate(texts + odd)]


def work(site: Service, service: Client, assessment: dict[str, Any], fields: dict[str, Any]) -> Candidate:
    """Start a session with a few plain events."""
    body = {"count": 1, "candidates": [fields]}
    key = post(service, f"/v1/assessments/{assessment['id']}/keys", body)["keys"][0]
    candidate = Candidate(site, key)
    plain = [
        event("session_start", source="cli"),
        event(second=5, data={"text": "Where are orders written?"}),
        event("command", 30, data={"command": "pytest -q", "exitCode": 1}),
        event("file_diff", 60, data={"path": "orders.py"}, provenance={"attribution": "likely_ai"}),
        event("command", 90 + len(fields.get("name", "")), data={"command": "pytest -q", "exitCode": 0}),
    ]
    assert post(candidate, "/v1/hooks/ingest/batch", {"events": plain}).status == 200
    return candidate


def score(client: Client, session_id: str, **values: int) -> None:
    for criterion, value in values.items():
        body = {"value": value, "comment": f"{MARKUP} {EMOJI} {'x' * 3_000}", "evidence": []}
        put(client, f"/v1/sessions/{session_id}/scores/{criterion}", body)


def fill(site: Service) -> Organization:
    """Create two assessments, ten candidates in every state, two reviewers' scores, and a tampered recording."""
    service = site.organization(f"Hostile {MARKUP}")
    admin = create_admin(site, service, f"Ada {EMOJI}")
    bob, observer = add_person(admin, f"Bob {MARKUP}"), add_person(admin, f"Olga {REVERSED}", "observer")
    settings = {"displayName": REVERSED, "disclosureAdditions": {"captures": [MARKUP, CLOSING]}}
    assert service.request("PATCH", "/v1/org/settings", settings).status == 200
    post(
        service,
        "/v1/issues",
        {"title": MARKUP, "taskBrief": CLOSING, "labels": [MARKUP], "description": REVERSED},
    )
    rubric = post(service, "/v1/rubrics", RUBRIC)["rubric"]
    assessment = post(service, "/v1/assessments", ASSESSMENT | {"rubricId": rubric["id"]})["assessment"]
    empty = post(service, "/v1/assessments", ASSESSMENT | {"title": "Nobody is invited yet"})["assessment"]
    settings = {"setup": MARKUP, "setupNetwork": True, "framework": "pytest", "image": "python:3.12"}
    runner = Runner(service)
    runner.prepare_task(assessment, TESTS, **settings)
    post(admin, "/v1/webhooks", {"url": "http://127.0.0.1:9/hook", "description": MARKUP})

    sessions = {}
    names = iter(NAMES)
    for state in ("hostile", "scored", "agreed", "disputed", "tampered", "running", "expired", "hired"):
        fields = {
            "name": next(names),
            "externalId": f"{state} {MARKUP}",
            "metadata": {MARKUP[:40]: CLOSING, "constructor": REVERSED},
        }
        candidate = work(site, service, assessment, fields)
        sessions[state] = candidate.session_id
        if state == "hostile":
            sent = post(candidate, "/v1/hooks/ingest/batch", {"events": hostile_events()})
            assert {entry["status"] for entry in sent["results"]} == {"created"}, sent.text
            candidate.submit_git_bundle(BUNDLE)
        if state == "expired":
            post(service, f"/v1/sessions/{candidate.session_id}/close")
        elif state != "running":
            assert candidate.complete().status == 200

    _, revoked = make_keys(service, assessment, 2)
    assert service.delete(f"/v1/assessments/{assessment['id']}/keys/{revoked['id']}").status == 200
    body = {"count": 1, "candidateEmails": ["mallory@example.com"], "candidateNames": [NAMES[0]]}
    post(service, f"/v1/assessments/{assessment['id']}/keys", body)

    score(admin, sessions["scored"], quality=3)
    for state, values in (("agreed", (3, 3)), ("disputed", (1, 5)), ("hired", (5, 5))):
        for client, value in zip((admin, bob), values, strict=True):
            score(client, sessions[state], quality=value, constructor=value)
    decision = {"decision": "advanced", "reason": f"{MARKUP} {REVERSED} {'x' * 1_500}"}
    candidates = service.get(f"/v1/candidates?assessmentId={assessment['id']}")["candidates"]
    ids = {candidate["sessionId"]: candidate["id"] for candidate in candidates}
    put(admin, f"/v1/candidates/{ids[sessions['agreed']]}/decision", decision)
    put(admin, f"/v1/candidates/{ids[sessions['hired']]}/decision", decision | {"decision": "hired"})

    site.flask("worker", "--once")
    wait_until(
        lambda: service.get(f"/v1/sessions/{sessions['hostile']}")["submission"]["state"] == "read",
        "The worker did not read the submission.",
    )
    site.flask("worker", "--once")
    runner.run(TESTS[1:], TESTS[:1], "untrusted", reason=f"A canary passed. {MARKUP}")

    # After the ledger lists the events.
    statement = "UPDATE events SET envelope = replace(envelope, 'pytest', 'rm -rf') WHERE session_id = %s"
    site.execute(statement, site.stored_id(sessions["tampered"]))
    return Organization(service, admin, bob, observer, assessment, empty, sessions)
