"""Simulates past use of the service: requests and commands in this process, with a controlled clock.

The web process and the worker later run on the same database in real time.
"""

import heapq
import json
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from flask import Flask

from delivery.worker import Worker
from models.base import clock, db

# A script yields the time of its next action.
Script = Iterator[datetime]
WORKER_INTERVAL = timedelta(hours=12)


class RequestFailed(Exception):
    """A request or command failed."""


class Simulation:
    """The service, running at a simulated time."""

    def __init__(self, app: Flask):
        self._app, self._client = app, app.test_client()
        self._worker_ran_at: datetime | None = None
        # Faster. Data lost in a crash of the machine can be created again.
        db.pragma("synchronous", "off", permanent=True)
        self._worker = Worker(app.config, app.extensions["storage"])

    @property
    def now(self) -> datetime:
        return clock.now()

    def run(self, scripts: Iterable[Script], start: datetime, end: datetime) -> None:
        """Run the worker and all scripts in time order until `end`."""
        order = count()
        queue = [(start, next(order), script) for script in (*scripts, self._run_worker_regularly(start))]
        while queue:
            time, _, script = heapq.heappop(queue)
            if time > end:
                break
            clock.fixed = max(time, clock.now())
            next_time = next(script, None)
            if next_time is not None:
                heapq.heappush(queue, (next_time, next(order), script))
        clock.fixed = end
        self.run_worker()

    def _run_worker_regularly(self, start: datetime) -> Script:
        while True:
            start += WORKER_INTERVAL
            yield start
            self.run_worker()

    def run_worker(self) -> None:
        """Run due worker tasks and send webhooks, at most once per simulated time."""
        if self._worker_ran_at == clock.now():
            return
        self._worker_ran_at = clock.now()
        # Requests must not run in this context, because they would share its `g`.
        with self._app.app_context():
            self._worker.run_once()
            self._worker.post_webhooks()

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        media_type: str = "application/json",
        **headers: str,
    ) -> Any:
        """Send a request. Returns the parsed JSON response, or None if it is empty.

        headers -- with `_` instead of `-`, such as X_API_Key
        """
        payload = body if isinstance(body, bytes) or body is None else json.dumps(body)
        request_headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if payload is not None:
            request_headers["Content-Type"] = media_type
        # Buffered, so that the response is closed: a model call occupies a thread until then.
        response = self._client.open(
            path, method=method, data=payload, headers=request_headers, buffered=True
        )
        if response.status_code // 100 != 2:
            raise RequestFailed(f"{method} {path}: {response.status_code} {response.text}")
        return json.loads(response.data) if response.data else None

    def flask(self, *arguments: str) -> str:
        """Run a `flask` command and return its output."""
        result = self._app.test_cli_runner().invoke(args=list(arguments))
        if result.exit_code:
            raise RequestFailed(f"flask {' '.join(arguments)}: {result.output}")
        return result.output
