"""The candidate's two programs, reimplemented from docs/candidate-client.md.

    cli = Cli(port, "pst-abcd-efgh", tmp_path)
    cli.start()
    cli.send(cli.event("prompt", {"text": "Why are orders lost?"}))
    cli.done(bundle)

Responses that the real program could not decode fail the test.
"""

import hashlib
import json
import os
import subprocess
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, urlsplit

from tests.live.client import Response, call
from tests.live.scripted_chain import Chain, encode
from tests.live.scripted_responses import (
    ACTIVITY,
    ANYTHING,
    COMPLETED,
    CONSENT,
    HOSTED_BOOT,
    PROVIDER_ERROR,
    REDEEMED,
    SESSION,
    SIGNED_LOG,
    UPLOAD,
    VERSION_CHECK,
    decode,
)

VERSION = "1.10.0"
# Five times the programs' timeouts (section 1), because tests share the machine.
HOOK_SECONDS, CALL_SECONDS, PUT_SECONDS = 5 * 3, 5 * 15, 5 * 300
JSON = {"Content-Type": "application/json"}


class Cli:
    """The command line program, with the key as the candidate typed it."""

    def __init__(self, port: int, typed_key: str, folder: Path):
        self.port = port
        self.key = typed_key
        self.folder = folder
        self.session: dict[str, Any] = {}
        self.seed = b""

    @classmethod
    def resumed(cls, port: int, folder: Path) -> Self:
        """Create another process of the same client, such as a hook, from the saved state."""
        saved = json.loads((folder / "session.json").read_text())
        cli = cls(port, saved["key"], folder)
        cli.session, cli.seed = saved["session"], bytes.fromhex(saved["seed"])
        return cli

    @property
    def session_id(self) -> str:
        return self.session["sessionId"]

    @property
    def chain(self) -> Chain:
        return Chain(self.folder / "buffer", self.seed)

    # start (section 4.1)

    def start(self) -> None:
        """`start KEY --accept-tos`."""
        path = f"/v1/cli/version-check?version={VERSION}"
        assert self.fetch("GET", path, VERSION_CHECK, token=False)["updateRequired"] is False
        consent = self.fetch("GET", f"/v1/candidate/consent?key={quote(self.key)}", CONSENT, token=False)
        assert consent["disclosure"]["captures"]
        body = {"key": self.key, "disclosureHash": consent["disclosureHash"]}
        assert self.call("POST", "/v1/candidate/consent", body, token=False).status == 200
        self.redeem()
        self.clone()
        self.start_work()

    def redeem(self) -> None:
        """Redeem with a new key pair, and save the session."""
        self.seed = os.urandom(32)
        body = {"key": self.key, "signingPubKey": self.chain.public_key}
        self.session = self.fetch("POST", "/v1/candidate/redeem", REDEEMED, body, token=False)
        assert all(self.session[name] for name in ("sessionId", "sessionToken", "assessmentId"))
        # An empty list would stop `start`.
        assert self.session["allowedTools"] is None or self.session["allowedTools"]
        state = {"key": self.key, "session": self.session, "seed": self.seed.hex()}
        (self.folder / "session.json").write_text(json.dumps(state))

    def clone(self) -> None:
        """Fetch the start commit of a repository that the service hosts, without its history and a credential."""
        path = urlsplit(self.session["repoUrl"] or "").path
        if path.startswith("/git/"):
            self.git("init", "-q", str(self.workspace))
            url = f"http://127.0.0.1:{self.port}{path}"
            self.git(
                "-C", str(self.workspace), "fetch", "-q", "--depth", "1", url, self.session["repoCommit"]
            )
            self.git("-C", str(self.workspace), "checkout", "-q", "-B", "main", "FETCH_HEAD")

    @property
    def workspace(self) -> Path:
        return self.folder / "workspace"

    @staticmethod
    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout.strip()

    def start_work(self) -> None:
        """Do what `start` without a key repeats later."""
        is_cloned = self.workspace.exists()
        sha = self.git("-C", str(self.workspace), "rev-parse", "--short", "HEAD") if is_cloned else "4b825dc"
        self.fetch(
            "POST",
            "/v1/candidate/workspace-commit",
            ANYTHING,
            {"sessionId": self.session_id, "commitSha": sha},
        )
        token, messages = self.session["sessionToken"], [{"role": "user", "content": "ping"}]
        body = {"model": "claude-haiku-4-5", "max_tokens": 4, "messages": messages}
        self.probe("/v1/proxy/anthropic/v1/messages", body, {"X-API-Key": token})
        body = {"model": "gpt-4o-mini", "input": "ping", "max_output_tokens": 16, "stream": False}
        self.probe("/v1/proxy/openai/v1/responses", body, {"Authorization": f"Bearer {token}"})
        editor = {"status": "installed", "installed": ["vscode"], "extensionVersion": "0.3.1"}
        data = {"editorVersion": "promptster-cli", "editorCapture": editor}
        assert self.send(self.event("session_start", data, "cli"), in_foreground=True).status < 300
        self.check_device("start")

    def probe(self, path: str, body: dict[str, Any], headers: dict[str, str]) -> None:
        """Try a model proxy. Without a provider key, the service rejects it in the provider's format."""
        response = self.call("POST", path, body, token=False, headers=headers)
        assert decode(response, PROVIDER_ERROR, 403)["error"]["message"]

    def check_device(self, checkpoint: str) -> None:
        digests = dict.fromkeys(("hostnameHash", "usernameHash"), hashlib.sha256(b"name").hexdigest())
        machine = {"os": "linux", "arch": "amd64", "shell": "/bin/bash", "machineIdHash": "", **digests}
        fingerprint = machine | {"cpuCount": 8, "ramBytes": 2**36}
        body = {"checkpoint": checkpoint, "fingerprint": fingerprint}
        self.fetch("POST", "/v1/candidate/device-check", ANYTHING, body)

    def report_boot(self) -> dict[str, Any]:
        details = {"prebuilt": None, "onCreateCompleted": True, "bootSeconds": 41.5, "treeMatches": None}
        return self.fetch("POST", "/v1/candidate/hosted-boot", HOSTED_BOOT, details)

    # While working (section 4.2)

    def event(self, kind: str, data: dict[str, Any], source: str = "claude-code", **fields: Any) -> dict:
        """Build and sign the session's next event, with nanoseconds in its time."""
        ts = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "123Z")
        head = {"id": str(uuid.uuid4()), "sessionId": self.session_id, "ts": ts, "kind": kind}
        return self.chain.append({**head, "source": source, "v": 1, "data": data, **fields})

    def send(self, event: dict[str, Any], *, in_foreground: bool = False) -> Response:
        """Send an event from a hook, or from a command that the candidate waits for."""
        seconds = CALL_SECONDS if in_foreground else HOOK_SECONDS
        return self.call("POST", "/v1/hooks/ingest", event, version=in_foreground, seconds=seconds)

    def request_upload(self) -> Response:
        return self.call("POST", "/v1/candidate/upload-url", {"sessionId": self.session_id})

    def put(self, upload: dict[str, Any], bundle: bytes) -> Response:
        # The URL has the public host, but the service listens on this machine. No other credential is needed.
        url = urlsplit(upload["uploadUrl"])
        assert url.scheme in ("http", "https")
        headers = {"Content-Type": "application/gzip", "Content-Length": str(len(bundle))}
        return call(self.port, "PUT", f"{url.path}?{url.query}", bundle, headers=headers, seconds=PUT_SECONDS)

    def upload(self, bundle: bytes) -> dict[str, Any]:
        """Upload a snapshot of the workspace; `submit` completes it."""
        upload = decode(self.request_upload(), UPLOAD)
        assert self.put(upload, bundle).status in range(200, 300)
        return upload

    def submit(self, upload: dict[str, Any], bundle: bytes, **fields: Any) -> Response:
        details = {"bundleKey": upload["objectKey"], "bundleSize": len(bundle)}
        details["bundleSha256"] = hashlib.sha256(bundle).hexdigest()
        code = {"diff": "", "fileTree": ["orders.py"], "repoUrl": "", "baseSha": ""}
        body = {"sessionId": self.session_id, **code, **details, **fields}
        return self.call("POST", "/v1/candidate/submit-code", body, version=False)

    def status(self) -> dict[str, Any]:
        return self.fetch("GET", f"/v1/sessions/{self.session_id}", SESSION)

    def explain(self, rationale: str) -> dict[str, Any]:
        """Record a decision with the recent activity, and return the activity."""
        path = f"/v1/sessions/{self.session_id}/recent-activity?minutes=20"
        activity = self.fetch("GET", path, ACTIVITY)
        decision = {"decisionId": str(uuid.uuid4()), "title": "Decision rationale", "rationale": rationale}
        decision |= {"context": activity["summary"], "impactScore": 3, "capturedVia": "cli-explain"}
        assert self.send(self.event("decision_event", decision, "cli"), in_foreground=True).status < 300
        return activity

    def signed_log(self) -> dict[str, Any]:
        return self.fetch("GET", f"/v1/sessions/{self.session_id}/signed-log", SIGNED_LOG, version=False)

    # done (section 4.3)

    def done(self, bundle: bytes) -> dict[str, Any]:
        """`done`. Return the response to `complete`."""
        self.check_device("done")
        assert self.submit(self.upload(bundle), bundle).status < 300
        return self.complete()

    def complete(self) -> dict[str, Any]:
        body = {"sessionId": self.session_id, "key": self.key}
        return self.fetch("POST", "/v1/candidate/complete", COMPLETED, body, token=False)

    # Requests

    def fetch(
        self, method: str, path: str, shape: Any, body: dict[str, Any] | None = None, **options: Any
    ) -> Any:
        """Send a request that must succeed, and return the decoded response."""
        return decode(self.call(method, path, body, **options), shape)

    def call(
        self, method: str, path: str, body: dict[str, Any] | None = None, *,
        token: bool = True, version: bool = True, seconds: float = CALL_SECONDS, headers: dict[str, str] | None = None,
    ) -> Response:  # fmt: skip
        sent = JSON | (headers or {})
        if version:
            sent["X-Promptster-CLI-Version"] = VERSION
        if token:
            sent["X-API-Key"] = self.session["sessionToken"]
        content = None if body is None else encode(body)
        return call(self.port, method, path, content, headers=sent, seconds=seconds)


class Extension:
    """The editor's extension. It has the candidate key, does not sign, and retries requests without a 2xx."""

    def __init__(self, port: int, key: str, session_id: str):
        self.port = port
        self.key = key
        self.session_id = session_id

    def event(self, kind: str, data: dict[str, Any]) -> dict[str, Any]:
        ts = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        source = {"channel": "ide-extension", "integration": "vscode", "emitter": "promptster-vscode"}
        provenance = {"attribution": "likely_human", "confidence": 1, "observability": "high"}
        author = {"actor": {"type": "human", "role": "candidate"}, "provenance": provenance}
        head = {"id": str(uuid.uuid4()), "sessionId": self.session_id, "ts": ts, "source": source}
        return {**head, **author, "v": 1, "kind": kind, "data": data}

    def flush(self, events: list[dict[str, Any]]) -> list[Response]:
        """Send events, three at a time, and return their responses in order."""
        with ThreadPoolExecutor(3) as threads:
            return list(threads.map(self._send, events))

    def _send(self, event: dict[str, Any]) -> Response:
        body = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
        headers = JSON | {"X-API-Key": self.key}
        return call(self.port, "POST", "/v1/hooks/ingest", body, headers=headers, seconds=CALL_SECONDS)
