"""The demo organization: people and their tokens, settings, rubrics, assessments and webhooks."""

from typing import Any

from tools.demo import cast, tasks
from tools.demo.repository import History
from tools.demo.simulation import Simulation

ASSESSMENT = (
    "title", "role", "taskBrief", "timeLimitMinutes", "expiresInDays", "reminderDaysBefore", "brief",
    "setupInstructions", "allowedTools", "tokenBudgetUsd", "blind",
)  # fmt: skip
SETTINGS = {
    "displayName": cast.COMPANY,
    "replyTo": "hiring@meridian.example",
    "retentionDays": 180,
    "disclosureAdditions": {"dataUse": ["Your interviewers of the next round can see the recording"]},
}
CHAT_TYPES = ["session.completed", "session.expired", "candidate.decided"]


class Organization:
    """Sets up the organization.

    receivers_url -- base URL of the webhook receivers
    tokens -- by person; `service` is for the service account
    assessments -- ids by task
    repositories -- the code that candidates start with, by task
    """

    def __init__(self, simulation: Simulation, receivers_url: str):
        self.simulation, self.receivers_url = simulation, receivers_url
        self.tokens: dict[str, str] = {}
        self.assessments: dict[str, str] = {}
        self.tasks = {name: tasks.load(name) for name in tasks.NAMES}
        self.repositories = {
            name: History().commit(task.files) if task.files else History()
            for name, task in self.tasks.items()
        }

    def set_up(self) -> None:
        """Create the organization with its people and assessments."""
        self.tokens["service"] = self.simulation.flask("org", "create", cast.COMPANY).split()[-1]
        # The API cannot add the first admin.
        name, email = cast.PEOPLE["admin"]
        self.simulation.flask("person", "create", cast.COMPANY, email, "--name", name, "--role", "admin")
        output = self.simulation.flask(
            "token", "create", cast.COMPANY, "--person", email, "--name", "Sign in"
        )
        self.tokens["admin"] = output.split()[-1]
        for person in ("reviewer", "reviewer 2", "observer"):
            self.tokens[person] = self._add_person(person)
        self.call("admin", "PATCH", "/v1/org/settings", SETTINGS)
        self._add_webhook("/ats", "Applicant tracking", [])
        for name, task in self.tasks.items():
            self.assessments[name] = self._add_assessment(task)

    def add_failing_webhook(self) -> None:
        self._add_webhook("/chat", "Messages to #hiring", CHAT_TYPES)

    def call(self, person: str, method: str, path: str, body: Any = None) -> Any:
        """Call the API with a person's or the service account's token."""
        return self.simulation.call(method, path, body, Authorization=f"Bearer {self.tokens[person]}")

    def _add_person(self, person: str) -> str:
        """Add a person. Returns their token."""
        (name, email), role = cast.PEOPLE[person], person.split()[0]
        body = {"name": name, "email": email, "role": role}
        user_id = self.call("admin", "POST", "/v1/org/people", body)["person"]["id"]
        scopes = ["read"] if role == "observer" else ["read", "write"]
        token = {"name": "Sign in", "personId": user_id, "scopes": scopes}
        return self.call("admin", "POST", "/v1/org/tokens", token)["secret"]

    def _add_assessment(self, task: tasks.Task) -> str:
        body = {name: task.fields[name] for name in ASSESSMENT if task.fields.get(name) is not None}
        if task.files:
            body["issueId"] = task["id"]
        else:
            body["rubricId"] = self.call("admin", "POST", "/v1/rubrics", task["rubric"])["rubric"]["id"]
        return self.call("admin", "POST", "/v1/assessments", body)["assessment"]["id"]

    def _add_webhook(self, path: str, description: str, types: list[str]) -> None:
        body = {"url": f"{self.receivers_url}{path}", "description": description, "types": types}
        self.call("admin", "POST", "/v1/webhooks", body)
