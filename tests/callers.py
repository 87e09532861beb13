"""Who calls the API in the tests: a client with a credential."""

from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from models import ApiToken, CandidateKey, Organization


class Caller:
    """Calls the application as somebody; `caller.get("/v1/me")`, `caller.post("/v1/assessments", {...})`.

    reads_to_the_end -- whether each answer is read and closed at once, as a server does it, or as the test goes on
    """

    reads_to_the_end = False

    def __init__(self, app: Flask, **headers: str):
        self.client = app.test_client()
        self.headers = headers
        self.row: Any = None

    @classmethod
    def reviewer(cls, app: Flask, organization: Organization, scope: str = "write") -> "Caller":
        row, token = ApiToken.issue(organization, f"A reviewer who may {scope}", scope)
        caller = cls(app, Authorization=f"Bearer {token}")
        caller.row = row
        return caller

    @classmethod
    def candidate(cls, app: Flask, key: CandidateKey) -> "Caller":
        caller = cls(app, **{"X-API-Key": key.key})
        caller.row = key
        return caller

    def get(self, path: str, **query: Any) -> TestResponse:
        return self.request("GET", path, query_string=query)

    def post(self, path: str, body: Any = None) -> TestResponse:
        return self.request("POST", path, json=body) if body is not None else self.request("POST", path)

    def put(self, path: str, body: Any) -> TestResponse:
        return self.request("PUT", path, json=body)

    def patch(self, path: str, body: Any) -> TestResponse:
        return self.request("PATCH", path, json=body)

    def delete(self, path: str) -> TestResponse:
        return self.request("DELETE", path)

    def request(
        self, method: str, path: str, headers: dict[str, str] | None = None, **options: Any
    ) -> TestResponse:
        options.setdefault("buffered", self.reads_to_the_end)
        return self.client.open(path, method=method, headers=self.headers | (headers or {}), **options)
