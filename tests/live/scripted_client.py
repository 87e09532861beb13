"""The candidate's two programs as the client contract describes them, with none of their code.

    cli = Cli(port, "pst-abcd-efgh", tmp_path)
    cli.start()
    cli.send(cli.event("prompt", {"text": "Why are orders lost?"}))
    cli.done(bundle)

Each request is one of section 3 with the headers, the time-out and the accepted statuses of section 1, over a
connection of its own. An answer of a type that the real program could not decode fails the test.
"""

import hashlib
import http.client
import json
import os
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, urlsplit

from tests.live.client import Response
from tests.live.scripted_answers import (
    ACTIVITY,
    ANYTHING,
    COMPLETED,
    CONSENT,
    HOSTED_BOOT,
    PROVIDER_REFUSAL,
    REDEEMED,
    SESSION,
    SIGNED_LOG,
    UPLOAD_PLACE,
    VERSION_CHECK,
    decoded,
)
from tests.live.scripted_chain import Chain, on_the_wire

VERSION = "1.10.0"
HOOK_SECONDS, HEALTH_SECONDS, LOG_SECONDS, CALL_SECONDS, SUBMIT_SECONDS, PUT_SECONDS = 3, 5, 10, 15, 30, 300
EXTENSION_SECONDS, EXTENSION_AT_A_TIME = 10, 3
JSON = {"Content-Type": "application/json"}


class Cli:
    """The command line program on a candidate's machine, with the key as the candidate typed it."""

    def __init__(self, port: int, typed_key: str, folder: Path):
        self.port = port
        self.key = typed_key
        self.folder = folder
        self.session: dict[str, Any] = {}
        self.seed = b""

    @classmethod
    def resumed(cls, port: int, folder: Path) -> Self:
        """Another process of the same client, such as a hook: it knows what lies in the folder."""
        kept = json.loads((folder / "session.json").read_text())
        cli = cls(port, kept["key"], folder)
        cli.session, cli.seed = kept["session"], bytes.fromhex(kept["seed"])
        return cli

    @property
    def session_id(self) -> str:
        return self.session["sessionId"]

    @property
    def chain(self) -> Chain:
        return Chain(self.folder / "buffer", self.seed)

    # start (section 4.1)

    def start(self) -> None:
        """From the version check to the device check, as `start KEY --accept-tos` does it."""
        assert self.check_version()["updateRequired"] is False
        shown = self.look_up_consent()
        assert shown["disclosure"]["captures"]
        if not shown["alreadyConfirmed"]:
            self.agree(shown["disclosureHash"])
        self.redeem()
        self.begin_work()

    def begin_work(self) -> None:
        """What `start` does once there is a session; a later `start` without a key does it again."""
        self.report_commit()
        self.probe("anthropic")
        self.probe("openai")
        capture = {"status": "installed", "installed": ["vscode"], "extensionVersion": "0.3.1"}
        opening = {"editorVersion": "promptster-cli", "editorCapture": capture}
        assert self.send(self.event("session_start", opening, "cli"), in_foreground=True).status < 300
        self.check_device("start")

    def check_version(self) -> dict[str, Any]:
        path = f"/v1/cli/version-check?version={VERSION}"
        return self.accepted("GET", path, VERSION_CHECK, token=False, seconds=HEALTH_SECONDS)

    def check_health(self) -> None:
        self.accepted("GET", "/v1/health", ANYTHING, token=False, seconds=HEALTH_SECONDS)

    def look_up_consent(self) -> dict[str, Any]:
        return self.accepted("GET", f"/v1/candidate/consent?key={quote(self.key)}", CONSENT, token=False)

    def consent(self, shown_hash: str | None = None) -> Response:
        body = {"key": self.key} | ({"disclosureHash": shown_hash} if shown_hash else {})
        return self.call("POST", "/v1/candidate/consent", body, token=False)

    def agree(self, shown_hash: str | None = None) -> None:
        assert self.consent(shown_hash).status == 200

    def ask_to_redeem(self) -> Response:
        """One try: a key pair made a moment before goes with each."""
        self.seed = os.urandom(32)
        body = {"key": self.key, "signingPubKey": self.chain.public_key}
        return self.call("POST", "/v1/candidate/redeem", body, token=False)

    def redeem(self) -> None:
        answer = self.ask_to_redeem()
        self.session = decoded(answer, REDEEMED)
        assert all(self.session[name] for name in ("sessionId", "sessionToken", "assessmentId"))
        # An empty list would stop `start`.
        assert self.session["allowedTools"] is None or self.session["allowedTools"]
        kept = {"key": self.key, "session": self.session, "seed": self.seed.hex()}
        (self.folder / "session.json").write_text(json.dumps(kept))

    def report_commit(self) -> None:
        body = {"sessionId": self.session_id, "commitSha": "4b825dc"}
        self.accepted("POST", "/v1/candidate/workspace-commit", ANYTHING, body)

    def check_device(self, checkpoint: str) -> None:
        digests = dict.fromkeys(("hostnameHash", "usernameHash"), hashlib.sha256(b"name").hexdigest())
        machine = {"os": "linux", "arch": "amd64", "shell": "/bin/bash", "machineIdHash": "", **digests}
        fingerprint = machine | {"cpuCount": 8, "ramBytes": 2**36}
        body = {"checkpoint": checkpoint, "fingerprint": fingerprint}
        self.accepted("POST", "/v1/candidate/device-check", ANYTHING, body)

    def report_boot(self) -> dict[str, Any]:
        facts = {"prebuilt": None, "onCreateCompleted": True, "bootSeconds": 41.5, "treeMatches": None}
        return self.accepted("POST", "/v1/candidate/hosted-boot", HOSTED_BOOT, facts)

    def probe(self, provider: str) -> None:
        """The tiny request to a provider's proxy. There is no key to a provider here, so it is refused plainly."""
        if provider == "anthropic":
            headers = {"X-API-Key": self.session["sessionToken"], "anthropic-version": "2023-06-01"}
            path, body = "/v1/proxy/anthropic/v1/messages", {"model": "claude-haiku-4-5", "max_tokens": 4}
            body |= {"messages": [{"role": "user", "content": "ping"}]}
        else:
            headers = {"Authorization": f"Bearer {self.session['sessionToken']}"}
            path, body = "/v1/proxy/openai/v1/responses", {"model": "gpt-4o-mini", "input": "ping"}
            body |= {"max_output_tokens": 16, "stream": False}
        answer = self.call("POST", path, body, token=False, headers=headers)
        assert decoded(answer, PROVIDER_REFUSAL, 403)["error"]["message"]

    # While working (section 4.2)

    def event(self, kind: str, data: dict[str, Any], source: str = "claude-code", **members: Any) -> dict:
        """The next signed event of the session, with up to nine fractional digits in its time."""
        ts = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "123Z")
        head = {"id": str(uuid.uuid4()), "sessionId": self.session_id, "ts": ts, "kind": kind}
        return self.chain.append({**head, "source": source, "v": 1, "data": data, **members})

    def send(self, event: dict[str, Any], *, in_foreground: bool = False) -> Response:
        """Hooks have three seconds and tell no version; commands that the candidate waits for do."""
        seconds = CALL_SECONDS if in_foreground else HOOK_SECONDS
        return self.call("POST", "/v1/hooks/ingest", event, version=in_foreground, seconds=seconds)

    def snapshot(self, bundle: bytes, until: str = "submitted") -> dict[str, Any]:
        """A snapshot of the workspace, cut off after it was `placed` or `uploaded`; returns its place."""
        place = self.accepted(
            "POST", "/v1/candidate/upload-url", UPLOAD_PLACE, {"sessionId": self.session_id}
        )
        if until != "placed":
            assert self.put(place, bundle).status in range(200, 300)
        if until == "submitted":
            assert self.submit(place, bundle).status < 300
        return place

    def ask_for_place(self) -> Response:
        return self.call("POST", "/v1/candidate/upload-url", {"sessionId": self.session_id})

    def put(self, place: dict[str, Any], bundle: bytes) -> Response:
        """The address is its own authorisation. Its host is the public one; this service listens on a port here."""
        address = urlsplit(place["uploadUrl"])
        assert address.scheme in ("http", "https")
        assert address.netloc
        headers = {"Content-Type": "application/gzip", "Content-Length": str(len(bundle))}
        path = f"{address.path}?{address.query}"
        return call(self.port, "PUT", path, bundle, headers=headers, seconds=PUT_SECONDS)

    def submit(self, place: dict[str, Any], bundle: bytes, **members: Any) -> Response:
        facts = {"bundleKey": place["objectKey"], "bundleSize": len(bundle)}
        facts["bundleSha256"] = hashlib.sha256(bundle).hexdigest()
        code = {"diff": "", "fileTree": ["orders.py"], "repoUrl": "", "baseSha": ""}
        body = {"sessionId": self.session_id, **code, **facts, **members}
        return self.call("POST", "/v1/candidate/submit-code", body, version=False, seconds=SUBMIT_SECONDS)

    def status(self) -> dict[str, Any]:
        return self.accepted("GET", f"/v1/sessions/{self.session_id}", SESSION)

    def explain(self, rationale: str) -> dict[str, Any]:
        """Look at the recent activity and record a decision with it; returns the activity."""
        path = f"/v1/sessions/{self.session_id}/recent-activity?minutes=20"
        activity = self.accepted("GET", path, ACTIVITY)
        decision = {"decisionId": str(uuid.uuid4()), "title": "Decision rationale", "rationale": rationale}
        decision |= {"context": activity["summary"], "impactScore": 3, "capturedVia": "cli-explain"}
        assert self.send(self.event("decision_event", decision, "cli"), in_foreground=True).status < 300
        return activity

    def signed_log(self) -> dict[str, Any]:
        path = f"/v1/sessions/{self.session_id}/signed-log"
        return self.accepted("GET", path, SIGNED_LOG, version=False, seconds=LOG_SECONDS)

    # done (section 4.3)

    def done(self, bundle: bytes) -> dict[str, Any]:
        """Everything that `done` does; returns the answer to complete."""
        self.check_device("done")
        self.snapshot(bundle)
        return self.complete()

    def complete(self) -> dict[str, Any]:
        body = {"sessionId": self.session_id, "key": self.key}
        return self.accepted("POST", "/v1/candidate/complete", COMPLETED, body, token=False)

    # One request

    def accepted(
        self, method: str, path: str, shape: Any, body: dict[str, Any] | None = None, **options: Any
    ) -> Any:
        """The decoded answer of a request for which nothing but 200 will do."""
        return decoded(self.call(method, path, body, **options), shape)

    def call(
        self, method: str, path: str, body: dict[str, Any] | None = None, *,
        token: bool = True, version: bool = True, seconds: float = CALL_SECONDS, headers: dict[str, str] | None = None,
    ) -> Response:  # fmt: skip
        told = {"X-Promptster-CLI-Version": VERSION} if version else {}
        known = {"X-API-Key": self.session["sessionToken"]} if token else {}
        all_headers = JSON | told | known | (headers or {})
        text = None if body is None else on_the_wire(body)
        return call(self.port, method, path, text, headers=all_headers, seconds=seconds)


class Extension:
    """The editor's extension: it has the candidate key itself, signs nothing, and sends again what got no 2xx."""

    def __init__(self, port: int, key: str, session_id: str):
        self.port = port
        self.key = key
        self.session_id = session_id

    def event(self, kind: str, data: dict[str, Any]) -> dict[str, Any]:
        ts = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        source = {"channel": "ide-extension", "integration": "vscode", "emitter": "promptster-vscode"}
        provenance = {"attribution": "likely_human", "confidence": 1, "observability": "high"}
        who = {"actor": {"type": "human", "role": "candidate"}, "provenance": provenance}
        head = {"id": str(uuid.uuid4()), "sessionId": self.session_id, "ts": ts, "source": source}
        return {**head, **who, "v": 1, "kind": kind, "data": data}

    def flush(self, events: list[dict[str, Any]]) -> list[Response]:
        """Send events, three at a time; the answers in their order."""
        with ThreadPoolExecutor(EXTENSION_AT_A_TIME) as threads:
            return list(threads.map(self._send, events))

    def _send(self, event: dict[str, Any]) -> Response:
        body = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
        headers = JSON | {"X-API-Key": self.key}
        return call(self.port, "POST", "/v1/hooks/ingest", body, headers=headers, seconds=EXTENSION_SECONDS)


def call(
    port: int, method: str, path: str, body: bytes | None, *, headers: dict[str, str], seconds: float
) -> Response:
    """One request over a connection of its own; fails where the answer takes longer than the program waits."""
    began = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        answer = Response(response.status, response.headers, response.read())
    finally:
        connection.close()
    assert time.monotonic() - began < seconds
    return answer
