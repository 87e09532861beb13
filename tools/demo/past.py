"""A service whose clock is ours: requests and commands in this process, at times that lie in the past.

The web process and the worker run on the same database afterwards, with the real time. Every request passes through
routing, authentication, schemas and models, as over a socket; only the clock differs, which tests set the same way.
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
from models.database import is_postgres

# A script does something at each time that it yields.
Script = Iterator[datetime]
WORKER_INTERVAL = timedelta(hours=12)
JSON = "application/json"


class RequestFailed(Exception):
    """The response is not a success; the message shows status and body."""


class Past:
    """The service, in the past."""

    def __init__(self, app: Flask):
        self._app, self._client = app, app.test_client()
        self._worked_at: datetime | None = None
        if not is_postgres():
            # Only a crash of the machine would show the difference, and the data can be created again.
            db.pragma("synchronous", "off", permanent=True)
        self._worker = Worker(app.config, app.extensions["storage"])

    @property
    def now(self) -> datetime:
        return clock.now()

    def run(self, scripts: Iterable[Script], start: datetime, end: datetime) -> None:
        """Run scripts side by side in the order of their times, and the worker in between; stop at `end`."""
        order = count()
        waiting: list[tuple[datetime, int, Script]] = []
        clock.fixed = start
        for script in (*scripts, self._work_regularly(start)):
            self._advance(script, waiting, order)
        while waiting:
            time, _, script = heapq.heappop(waiting)
            if time > end:
                continue
            clock.fixed = max(time, clock.now())
            self._advance(script, waiting, order)
        clock.fixed = end
        self.work()

    def _advance(self, script: Script, waiting: list, order: Iterator[int]) -> None:
        if (time := next(script, None)) is not None:
            heapq.heappush(waiting, (time, next(order), script))

    def _work_regularly(self, start: datetime) -> Script:
        while True:
            start += WORKER_INTERVAL
            yield start
            self.work()

    def work(self) -> None:
        """Let the worker do what is due, as `flask worker --once`, and send webhooks; once at a time of the clock."""
        if self._worked_at == clock.now():
            return
        self._worked_at = clock.now()
        # Only here: requests in the context of an application would share its `g`.
        with self._app.app_context():
            self._worker.run_once()
            self._worker.post_webhooks()

    def call(
        self, method: str, path: str, body: Any = None, *, media_type: str = JSON, **headers: str
    ) -> Any:
        """The response's JSON; None if it is empty. Raises RequestFailed.

        headers -- with `_` for `-`, such as X_API_Key
        """
        data = body if isinstance(body, bytes) or body is None else json.dumps(body)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named |= {} if data is None else {"Content-Type": media_type}
        response = self._client.open(path, method=method, data=data, headers=named)
        if response.status_code // 100 != 2:
            raise RequestFailed(f"{method} {path}: {response.status_code} {response.text}")
        return json.loads(response.data) if response.data else None

    def flask(self, *arguments: str) -> str:
        """Run a `flask` command; returns its output."""
        result = self._app.test_cli_runner().invoke(args=list(arguments))
        if result.exit_code:
            raise RequestFailed(f"flask {' '.join(arguments)}: {result.output}")
        return result.output

    def execute(self, statement: str, *values: Any) -> Any:
        """Change the database behind the service's back."""
        return db.execute_sql(statement.replace("?", "%s" if is_postgres() else "?"), values)
