"""Test clients that authenticate as a reviewer, a person or a candidate."""

from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

import models
from access.console import COOKIE
from models import ApiToken, CandidateKey, Organization, RunnerToken, SignIn, User
from tests import documented_errors

CONSOLE_HEADERS = {"Origin": "http://localhost:8000", "X-Proofstone-Console": "1"}


class Caller:
    """Calls the application: `caller.get("/v1/me")`, `caller.post("/v1/assessments", {...})`."""

    def __init__(self, app: Flask, row: Any = None, **headers: str):
        self.client, self.row, self.headers = app.test_client(), row, headers

    @classmethod
    def reviewer(
        cls, app: Flask, organization: Organization, scope: str = "write", name: str | None = None
    ) -> "Caller":
        row, token = ApiToken.issue(organization, name or f"Reviewer with {scope} access", scope)
        return cls(app, row, Authorization=f"Bearer {token}")

    @classmethod
    def person(cls, app: Flask, person: User, scope: str = "write") -> "Caller":
        """Authenticate as a person with an API token."""
        row, token = ApiToken.issue(person.organization, f"Token of {person.name}", scope, user=person)
        return cls(app, row, Authorization=f"Bearer {token}")

    @classmethod
    def signed_in(cls, app: Flask, person: User, **headers: str) -> "Caller":
        """Authenticate as a person who is signed in to the console; `headers` override the console's."""
        row, secret = SignIn.start(ApiToken.for_sign_ins(person), "email")
        caller = cls(app, row, **(CONSOLE_HEADERS | headers), Cookie=f"{COOKIE}={secret}")
        # Otherwise the test client would send the cookies of earlier responses.
        caller.client = app.test_client(use_cookies=False)
        return caller

    @classmethod
    def candidate(cls, app: Flask, key: CandidateKey) -> "Caller":
        return cls(app, key, **{"X-API-Key": key.key})

    @classmethod
    def runner(cls, app: Flask, organization: Organization | None = None, job_id: Any = None) -> "Caller":
        """Authenticate as a runner that has claimed a job."""
        row, token = RunnerToken.issue(organization, "Runner")
        if job_id:
            models.TestRun.get_by_id(job_id).update_columns(runner_token=row)
        return cls(app, row, Authorization=f"Bearer {token}")

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

    def request(self, method: str, path: str, headers: Any = None, **options: Any) -> TestResponse:
        options.setdefault("buffered", True)
        response = self.client.open(path, method=method, headers=self.headers | (headers or {}), **options)
        documented_errors.check(response)
        return response


def use_grant(caller: Caller, grant: str) -> TestResponse:
    """Sign in with a grant, as the first person that it offers."""
    response = caller.post("/v1/sign-in", {"grant": grant})
    if response.status_code != 200:
        return response
    return caller.post("/v1/sign-in", {"grant": grant, "personId": response.json["choices"][0]["personId"]})
