"""API client of the demo: one connection, one credential."""

import http.client
import json
from typing import Any, Self


class RequestFailed(Exception):
    """The response is not a success; the message shows status and body."""


class Client:
    def __init__(self, host: str, port: int, **headers: str):
        self.connection = http.client.HTTPConnection(host, port, timeout=60)
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def get(self, path: str) -> dict[str, Any]:
        return self.call("GET", path)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self.call("POST", path, body)

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the response's JSON; raises RequestFailed unless the status is 2xx."""
        data = None if body is None else json.dumps(body)
        self.connection.request(method, path, data, self.headers | {"Content-Type": "application/json"})
        response = self.connection.getresponse()
        text = response.read()
        if response.status // 100 != 2:
            raise RequestFailed(f"{method} {path.partition('?')[0]}: {response.status} {text.decode()}")
        return json.loads(text)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.connection.close()
