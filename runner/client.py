"""The runner API, with retries while the service restarts."""

import json
import math
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import requests

from runner import Aborted

CLAIM_SECONDS = 20
# The service responds immediately if too many runners wait.
MIN_CLAIM_SECONDS = 2
TIMEOUT_SECONDS = 60
MAX_BACKOFF_SECONDS = 30
# The lease must outlast a heartbeat that hangs.
HEARTBEAT_SECONDS = 10
DOWNLOAD_SECONDS = 300
MAX_INPUT_BYTES = 384 << 20
# A later attempt can succeed.
TEMPORARY = {408, 425, 429}

Result = TypeVar("Result")


class InputUnavailable(Exception):
    """The service cannot send an input. The message is the reason."""


class Unauthorized(Exception):
    """The token is invalid or was revoked."""


class Client:
    """Calls the runner API. Raises requests.RequestException if a later attempt can succeed."""

    def __init__(self, url: str, token: str, name: str, engine: str):
        self.url = url.rstrip("/")
        self.headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self.identity = {"runner": name, "engine": engine}

    def call(
        self, method: str, path: str, body: Any = None, stream: bool = False, seconds: float = TIMEOUT_SECONDS
    ) -> requests.Response:
        # A redirect could send the token elsewhere.
        options: dict[str, Any] = {"timeout": seconds, "allow_redirects": False, "stream": stream}
        # Without escapes, which could make a report of 8 MiB larger than what the service accepts.
        data = None if body is None else json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        response = requests.request(method, self.url + path, headers=self.headers, data=data, **options)
        if response.status_code in (401, 403):
            raise Unauthorized
        if response.status_code == 409 and "input_unavailable" in response.text:
            raise InputUnavailable(response.json()["error"])
        # A proxy without a running service behind it also responds with 404, but not in JSON.
        is_from_proxy = response.status_code == 404 and not response.text.startswith("{")
        if response.status_code in (404, 409) and not is_from_proxy:
            raise Aborted
        if is_from_proxy or response.status_code in TEMPORARY or response.status_code >= 500:
            raise requests.HTTPError(f"{response.status_code} {response.reason}")
        if response.status_code not in (200, 204):
            raise ValueError(f"{method} {path}: {response.status_code} {response.text[:500]}")
        return response

    def claim(self) -> dict[str, Any] | None:
        response = self.call("POST", "/v1/runner/jobs/claim", self.identity | {"waitSeconds": CLAIM_SECONDS})
        return response.json()["job"] if response.status_code == 200 else None

    def heartbeat(self, job: dict[str, Any]) -> None:
        path = f"/v1/runner/jobs/{job['id']}/heartbeat"
        self.call("POST", path, {"attempt": job["attempt"]}, seconds=HEARTBEAT_SECONDS)

    def finish(self, job: dict[str, Any], result: dict[str, Any]) -> None:
        self.call("PUT", f"/v1/runner/jobs/{job['id']}/result", result | {"attempt": job["attempt"]})

    def download(self, path: str, target: Path) -> None:
        if not path.startswith("/v1/runner/jobs/"):
            raise ValueError(f"{path} is not the path of an input.")
        with self.call("GET", path, stream=True) as response, target.open("wb") as file:
            for block in response.iter_content(1 << 16):
                file.write(block)
                if file.tell() > MAX_INPUT_BYTES:
                    raise ValueError(f"{path} is larger than {MAX_INPUT_BYTES >> 20} MiB.")


def retry(
    call: Callable[[], Result], stop: threading.Event, log: Callable[[str], None], seconds: float = math.inf
) -> Result:
    """Call until it succeeds. Raises the last error when `stop` is set, or after `seconds`."""
    attempt, deadline = 0, time.monotonic() + seconds
    while True:
        try:
            return call()
        except requests.RequestException as error:
            log(f"The service does not respond, retrying: {type(error).__name__}: {error}")
            if time.monotonic() >= deadline or stop.wait(
                random.uniform(0.5, 1) * min(2**attempt, MAX_BACKOFF_SECONDS)
            ):
                raise
            attempt += 1
