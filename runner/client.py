"""The runner API, with retries while the service restarts."""

import random
import threading
from pathlib import Path
from typing import Any

import requests

MAX_WAIT_SECONDS = 20
MAX_BACKOFF_SECONDS = 30
MAX_INPUT_BYTES = 128 << 20
TIMEOUT_SECONDS = 60
# Responses of the service itself, or of a proxy before it, that a later attempt can change.
TEMPORARY = {408, 425, 429, 500, 502, 503, 504}


class Unauthorized(Exception):
    """The token is invalid or was revoked."""


class Lost(Exception):
    """The job belongs to another claim, or no longer exists."""


class Client:
    """The service, as a runner sees it."""

    def __init__(self, url: str, token: str, name: str, engine: str):
        self.url, self.name, self.engine = url.rstrip("/"), name, engine
        self.headers = {"Authorization": f"Bearer {token}"}

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send one request. Raises requests.RequestException for what a later attempt can change."""
        # A redirect could send the token elsewhere.
        response = requests.request(
            method,
            self.url + path,
            headers=self.headers,
            timeout=TIMEOUT_SECONDS,
            allow_redirects=False,
            **options,
        )
        if response.status_code in TEMPORARY:
            raise requests.HTTPError(f"{response.status_code} {response.reason}", response=response)
        if response.status_code in (401, 403):
            raise Unauthorized
        if response.status_code in (404, 409):
            raise Lost
        if not response.ok or response.is_redirect:
            raise ValueError(f"{method} {path}: {response.status_code} {response.text[:500]}")
        return response

    def claim(self, wait_seconds: int) -> dict[str, Any] | None:
        body = {"runner": self.name, "engine": self.engine, "waitSeconds": wait_seconds}
        response = self.call("POST", "/v1/runner/jobs/claim", json=body)
        return response.json()["job"] if response.status_code == 200 else None

    def heartbeat(self, job: dict[str, Any]) -> None:
        self.call("POST", f"/v1/runner/jobs/{job['id']}/heartbeat", json={"attempt": job["attempt"]})

    def download(self, path: str, target: Path) -> None:
        if not path.startswith("/v1/runner/jobs/"):
            raise ValueError(f"{path} is not an input's path.")
        left = MAX_INPUT_BYTES
        with self.call("GET", path, stream=True) as response, target.open("wb") as file:
            for block in response.iter_content(1 << 16):
                left -= len(block)
                if left < 0:
                    raise ValueError(f"{path} is larger than {MAX_INPUT_BYTES >> 20} MiB.")
                file.write(block)
            # requests does not notice a body that ends early.
            expected = response.headers.get("Content-Length")
            if expected and int(expected) != file.tell() and "Content-Encoding" not in response.headers:
                raise requests.ConnectionError(f"{path} ended early.")

    def finish(self, job: dict[str, Any], result: dict[str, Any]) -> None:
        body = result | {"attempt": job["attempt"]}
        self.call("PUT", f"/v1/runner/jobs/{job['id']}/result", json=body)


def backoff(attempt: int) -> float:
    """Return the seconds before the next attempt, with jitter."""
    return random.uniform(0.5, 1) * min(2**attempt, MAX_BACKOFF_SECONDS)


def retry(call: Any, gives_up: threading.Event, log: Any) -> Any:
    """Call until it succeeds or `gives_up` is set; the last error is raised then."""
    attempt = 0
    while True:
        try:
            return call()
        except requests.RequestException as error:
            log(f"The service does not answer ({type(error).__name__}: {error}); trying again.")
            if gives_up.wait(backoff(attempt)):
                raise
            attempt += 1
