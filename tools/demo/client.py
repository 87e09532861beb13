"""A small client of the API: one connection, one credential."""

import http.client
import json
from typing import Any, Self


class Refused(Exception):
    """The service answered with something else than success; the message says what."""


class Client:
    def __init__(self, host: str, port: int, **headers: str):
        self.connection = http.client.HTTPConnection(host, port, timeout=60)
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def get(self, path: str) -> dict[str, Any]:
        return self.call("GET", path)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self.call("POST", path, body)

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """The answer's JSON; Refused for any status but 2xx."""
        sent = None if body is None else json.dumps(body)
        self.connection.request(method, path, sent, self.headers | {"Content-Type": "application/json"})
        response = self.connection.getresponse()
        answer = response.read()
        if response.status // 100 != 2:
            raise Refused(f"{method} {path.partition('?')[0]}: {response.status} {answer.decode()}")
        return json.loads(answer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.connection.close()
