"""Play a scenario against a running service, and read the recording."""

import http.client
import json
import subprocess
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from independent_metrics import select_counted

from tests.agents.provider import Provider, Served, path_of
from tests.agents.scenario import Access, Scenario
from tests.agents.script import Script
from tests.agents.tools import Machine
from tests.agents.workspace import FILES
from tests.live.cast import make_assessment, make_keys, start_session
from tests.live.client import Client
from tests.live.service import HOST, TIMEOUT_SECONDS, Service
from tests.proxy.upstream import Request

# Headers that the service sets on its connection to the provider.
FROM_SERVICE = (
    "authorization", "x-api-key", "host", "connection", "content-length", "transfer-encoding", "accept-encoding",
)  # fmt: skip


@dataclass(frozen=True)
class Recording:
    """A scenario's result.

    served -- the provider's responses; `all_served` includes the responses to repeated requests
    rejected -- ids of the answers whose first attempt was rejected
    unexpected -- requests without an answer in the script
    calls -- rows of `model_usage`: request id, cost, whether it is recorded, and the tool
    files -- the workspace at the end
    session -- the exported session with its `events`
    repeated -- the exported session after each request was repeated and the session completed
    findings -- the codes of the integrity's findings
    """

    scenario: Scenario
    script: Script
    served: list[Served]
    all_served: list[Served]
    rejected: set[int]
    unexpected: list[str]
    calls: list[dict[str, Any]]
    files: dict[str, str]
    session: dict[str, Any]
    repeated: dict[str, Any]
    findings: list[str]

    @property
    def interrupted(self) -> set[str]:
        """The request ids of interrupted responses."""
        return {call.request_id for call in self.served if not call.is_complete}

    @property
    def events(self) -> list[dict[str, Any]]:
        """The proxy's events."""
        return [event for event in self.session["events"] if event["source"]["channel"] == "proxy"]

    @property
    def counted(self) -> list[dict[str, Any]]:
        """The events that count, from all channels, after each request was repeated."""
        return select_counted([(event["source"]["channel"], event) for event in self.repeated["events"]])


def record(
    scenario: Scenario,
    machine: Machine,
    provider: Provider,
    service: Service,
    reviewer: Client,
    *,
    is_proxied: bool = True,
) -> Recording:
    """Play the scenario as a candidate who has consented to the current disclosure.

    is_proxied -- whether the agent's calls pass through the service
    """
    provider.play(scenario.name, scenario.conversation)
    key = make_keys(reviewer, make_assessment(reviewer), 1)[0]["key"]
    session_id = start_session(service, key)
    address = f"http://{HOST}:{service.port}"
    access = Access(address, provider.address, session_id, key, provider.disconnected)
    scenario.set_up(machine, access)
    scenario.play(machine, access)
    files, served = machine.files(), list(provider.served)
    first, calls = read_session(reviewer, session_id), read_calls(service, session_id)
    for call in served:
        if call.is_complete and is_proxied:
            repeat(service, key, call.request)
    service.anonymous.post("/v1/candidate/complete", {"key": key, "sessionId": session_id})
    last = read_session(reviewer, session_id)
    findings = reviewer.get(f"/v1/sessions/{session_id}/integrity")["findings"]
    return Recording(
        scenario, provider.script, served, provider.served, provider.rejected, provider.unexpected, calls, files,
        session=first, repeated=last, findings=[finding["code"] for finding in findings],
    )  # fmt: skip


def read_session(reviewer: Client, session_id: str) -> dict[str, Any]:
    """Return the exported session with its `events`."""
    exported = reviewer.get(f"/v1/sessions/{session_id}/export").text.splitlines()
    session, *events = [json.loads(line) for line in exported]
    return session["session"] | {"events": events}


def read_calls(service: Service, session_id: str) -> list[dict[str, Any]]:
    """Return the session's model calls, excluding rejected calls."""
    names = ("request_id", "cost_nano_usd", "is_recorded", "tool")
    statement = f"SELECT {', '.join(names)} FROM model_usage WHERE session_id = %s AND status_code = 200"
    rows = service.execute(statement, service.stored_id(session_id))
    return [dict(zip(names, row, strict=True)) for row in rows]


def repeat(service: Service, key: str, request: Request) -> None:
    """Send a request to the service again, as after a lost response."""
    provider = "anthropic" if path_of(request) == "/v1/messages" else "openai"
    headers = {name: value for name, value in request.headers.items() if name.lower() not in FROM_SERVICE}
    target = f"/v1/proxy/{provider}{request.target}"
    with closing(http.client.HTTPConnection(HOST, service.port, timeout=TIMEOUT_SECONDS)) as connection:
        connection.request("POST", target, request.body, headers | {"X-API-Key": key})
        response = connection.getresponse()
        body = response.read()
    assert response.status == 200, body


def apply_changes(folder: Path, events: list[dict[str, Any]]) -> dict[str, str]:
    """Apply recorded changes to the workspace's initial files; return the files."""
    for name, content in FILES.items():
        (folder / name).write_bytes(content.encode())
    for event in events:
        if event["kind"] == "file_delete":
            (folder / event["data"]["path"]).unlink()
        elif event["kind"] in ("file_diff", "file_create"):
            apply_diff(folder, event["data"]["diff"])
    return {path.name: path.read_bytes().decode() for path in folder.iterdir()}


def apply_diff(folder: Path, diff: str) -> None:
    """Apply a diff with git; fail if a line number is wrong."""
    command = ["git", "apply", "--verbose", "-"]
    done = subprocess.run(command, cwd=folder, input=diff.encode(), capture_output=True)
    assert done.returncode == 0, (done.stderr.decode(), diff)
    assert b"offset" not in done.stderr, (done.stderr.decode(), diff)
