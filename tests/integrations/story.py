"""A hiring team's and a candidate's actions, in this process or on a running service."""

import email.message
import email.policy
import json
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

from delivery.worker import Worker
from models import ApiToken, StorageMarker
from tests.integrations.ashby_server import AshbyServer
from tests.integrations.greenhouse_server import GreenhouseServer
from tests.integrations.slack_server import SlackServer
from tests.integrations.stand_in import fill, serving
from tests.live.client import call
from tests.live.service import Service, wait_until

KEY = re.compile(r"Your key:\s+(\S+)")
LINK = re.compile(r"Your page:\s+(\S+)")
REFERENCE = re.compile(r"Ref ([0-9a-f]{6})-(\d+)\s*\Z")
LEVELS = [{"value": value, "label": f"Level {value}"} for value in (1, 3, 5)]
RUBRIC = {
    "name": "Engineers",
    "criteria": [{"key": name, "title": name.title(), "levels": LEVELS} for name in ("quality", "tests")],
}
ASSESSMENT = {"title": "Backend take-home", "role": "Engineer", "taskBrief": "Fix it."}
# Reports wait this long for further changes.
COLLECTING = timedelta(minutes=16)
DAY = timedelta(days=1, minutes=1)
INTEGRATION_KEYS = "test:a-key-that-only-these-tests-encrypt-with"


def settings_for(folder: Path, *servers: Any) -> dict[str, str]:
    """Return the settings of a service that uses these stand-ins."""
    return {
        "INTEGRATION_KEYS": INTEGRATION_KEYS,
        "INTEGRATION_HOSTS": ",".join(server.hosts for server in servers),
        "WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8",
        "MAIL_FOLDER": str(folder / "mail"),
        "BUNDLE_FOLDER": str(folder / "bundles"),
    }


SERVERS: dict[str, Any] = {"greenhouse": GreenhouseServer, "ashby": AshbyServer}


class Answer(NamedTuple):
    status: int
    headers: Any
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def error(self) -> tuple[int, str]:
        return self.status, self.json["code"]


class Place:
    """A service, with its saved emails and its time."""

    mail_folder: Path

    def request(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        raise NotImplementedError

    def advance(self, time: timedelta) -> None:
        raise NotImplementedError

    def until(self, condition: Callable[[], Any], failure: str) -> Any:
        """Let the worker work until the condition is true, and return its value."""
        raise NotImplementedError

    def settle(self) -> None:
        """Let the worker do everything that is due now. A live worker does so all the time."""

    def emails(self, address: str | None = None) -> list[email.message.EmailMessage]:
        """Return the emails to an address, or all, oldest first."""
        files = sorted(self.mail_folder.glob("*.eml"), key=lambda file: file.stat().st_mtime_ns)
        emails = [email.message_from_bytes(file.read_bytes(), policy=email.policy.default) for file in files]
        return [each for each in emails if address is None or address in str(each["To"])]


class InProcess(Place):
    """The application of the `app` fixture, whose changes are rolled back, with the stopped `clock`."""

    STEP = timedelta(seconds=10)
    MAX_STEPS = 20

    def __init__(self, app: Any, clock: Any):
        self.app, self.clock, self.mail_folder = app, clock, Path(app.config["MAIL_FOLDER"])
        tasks = app.extensions.get("worker_tasks", ())
        self.worker = Worker(app.config, app.extensions["storage"], tasks)

    def request(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        response = self.app.test_client().open(path, method=method, data=body, headers=headers, buffered=True)
        return Answer(response.status_code, response.headers, response.text)

    def advance(self, time: timedelta) -> None:
        self.clock.fixed += time

    def step(self) -> None:
        self.advance(self.STEP)
        self.worker.run_once()

    def settle(self) -> None:
        """Let the worker do everything that is due now."""
        for _ in range(3):
            self.step()

    def until(self, condition: Callable[[], Any], failure: str) -> Any:
        for _ in range(self.MAX_STEPS):
            if value := condition():
                return value
            self.step()
        value = condition()
        assert value, failure
        return value


class Live(Place):
    """A running service and worker, whose clock reads `clock_file` (moved_clock.py)."""

    APPLICATION = "tests.integrations.moved_clock:create_app()"

    def __init__(self, service: Service, clock_file: Path):
        self.service, self.clock_file, self.mail_folder = service, clock_file, service.mail_folder
        self.moved = timedelta(0)

    @classmethod
    def start(
        cls, folder: Path, database_url: str | None, *servers: Any, processes: int = 1, **settings: str
    ) -> Self:
        clock_file = folder / "clock"
        clock_file.write_text("0")
        settings = settings_for(folder, *servers) | {"CLOCK_FILE": str(clock_file)} | settings
        settings["FLASK_APP"] = cls.APPLICATION
        service = Service(folder, database_url, **settings)
        return cls(service.start(processes=processes, application=cls.APPLICATION), clock_file)

    def request(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        headers = headers | {"Connection": "close"}
        response = call(self.service.port, method, path, body, headers=headers, seconds=60)
        return Answer(response.status, response.headers, response.text.decode())

    def advance(self, time: timedelta) -> None:
        self.moved += time
        # Replaced at once, because other processes read it.
        new = self.clock_file.with_suffix(".new")
        new.write_text(str(self.moved.total_seconds()))
        new.replace(self.clock_file)

    def until(self, condition: Callable[[], Any], failure: str) -> Any:
        return wait_until(condition, failure, seconds=120)


@dataclass
class Story:
    """An organization with a system's account, an assessment and, after `connect`, an integration.

    answers -- the responses of the new routes, without those that show a secret
    """

    place: Place
    token: str
    account: Any
    assessment: dict[str, Any] = field(default_factory=dict)
    integration: dict[str, Any] = field(default_factory=dict)
    answers: list[str] = field(default_factory=list)
    signing_secrets: list[str] = field(default_factory=list)
    job: str = ""
    stage: str = ""
    other_stage: str = ""
    rule: dict[str, Any] = field(default_factory=dict)
    slack: Any = None

    def settle(self) -> None:
        """Let the worker do everything that is due now."""
        self.place.settle()

    # Requests

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Send a request with the organization's token."""
        headers = {"Authorization": f"Bearer {self.token}"} | headers
        content = None if body is None else json.dumps(body).encode()
        if content is not None:
            headers["Content-Type"] = "application/json"
        answer = self.place.request(method, path, content, headers)
        is_new = path.startswith(("/v1/integrations", "/v1/notifications"))
        if is_new and not (answer.status < 300 and "secret" in answer.json):
            self.answers.append(answer.text)
        return answer

    def api(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        answer = self.send(method, path, body)
        assert answer.status == status, (method, path, answer.status, answer.text)
        return answer.json

    def get(self, path: str) -> Any:
        return self.api("GET", path)

    def candidate_call(self, key: str, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        """Send a candidate's request."""
        headers = {"X-API-Key": key, "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body).encode()
        answer = self.place.request(method, path, content, headers)
        assert answer.status == status, (method, path, answer.status, answer.text)
        return answer.json

    # An admin's actions

    @property
    def path(self) -> str:
        return f"/v1/integrations/{self.integration['id']}"

    def create_assessment(self, **fields: Any) -> dict[str, Any]:
        rubric = self.api("POST", "/v1/rubrics", RUBRIC, 201)["rubric"]
        body = ASSESSMENT | {"rubricId": rubric["id"]} | fields
        return self.api("POST", "/v1/assessments", body, 201)["assessment"]

    def fill_forms(self) -> dict[str, Any]:
        """Return the account's credential and settings, as the service's form names them."""
        systems = self.get("/v1/integration-systems")["systems"]
        form = next(system for system in systems if system["system"] == self.account.system)
        credential, settings = self.account.form
        return {
            "credential": fill(form["credential"], credential),
            "settings": fill(form["settings"], settings),
        }

    def connect(self) -> None:
        """Connect the account, paste URL and secret there, and let the service check."""
        body = {"system": self.account.system, "name": f"{self.account.system} <team>"} | self.fill_forms()
        created = self.api("POST", "/v1/integrations", body, 201)
        self.integration = created["integration"]
        self.use_secret(created["secret"])

    def use_secret(self, secret: str) -> None:
        self.account.secret = secret
        self.signing_secrets.append(secret)
        self.account.post = self.post_event

    def post_event(self, body: bytes, headers: dict[str, str]) -> int:
        return self.receive(body, headers).status

    def receive(self, body: bytes, headers: dict[str, str]) -> Answer:
        """Post a webhook to the integration's URL."""
        path = urlsplit(self.integration["eventsUrl"]).path
        answer = self.place.request("POST", path, body, headers)
        self.answers.append(answer.text)
        return answer

    def set_up(self, **rule: Any) -> Self:
        """Connect, and create a rule for a stage of a job."""
        self.job = self.account.add_job("Backend <Engineer> & more")
        self.stage, self.other_stage = (
            self.account.add_stage(name, self.job) for name in ("Take-home", "Onsite")
        )
        self.connect()
        self.assessment = self.create_assessment()
        self.rule = self.add_rule(**rule)
        return self

    def add_rule(self, **fields: Any) -> dict[str, Any]:
        body = {"stageId": self.stage, "assessmentId": self.assessment["id"]} | fields
        return self.api("POST", f"{self.path}/rules", body, 201)["rule"]

    # A recruiter's actions

    def apply(self, *addresses: str) -> str:
        """Add an application in the rule's stage, without a webhook."""
        return self.account.apply(self.job, self.stage, *addresses)

    def hint(self, application: str) -> None:
        """Send one webhook about the application's current stage."""
        assert self.account.send_once(*self.account.stage_change(application)) == 200

    def hint_about(self, application: str, **fields: Any) -> None:
        """Send one webhook that says that the application is in the rule's stage, with fields of the candidate."""
        assert self.account.send_once(*self.account.stage_change(application, self.stage, **fields)) == 200

    def invite(self, *addresses: str, **names: Any) -> str:
        """Add an application, and move it to the rule's stage."""
        application = self.account.apply(self.job, self.other_stage, *addresses, **names)
        assert self.account.move(application, self.stage) == [200]
        return application

    # What is stored

    def orders(self) -> list[dict[str, Any]]:
        return self.get(f"{self.path}/orders?limit=200")["orders"]

    def order(self, application: str) -> dict[str, Any]:
        """Return the application's only order."""
        (order,) = [order for order in self.orders() if str(order["applicationId"]) == application]
        return order

    def only_order(self) -> dict[str, Any]:
        (order,) = self.orders()
        return order

    def wait_for(self, application: str, state: str, reason: str | None = None) -> dict[str, Any]:
        """Wait for the order's state, and return the order."""

        def is_reached() -> Any:
            order = self.order(application)
            return (order["state"], order["reason"]) == (state, reason) and order

        try:
            return self.place.until(is_reached, "")
        except AssertionError:
            raise AssertionError(f"Not {state} {reason}: {self.order(application)}") from None

    def notes(self, application: str, count: int) -> list[str]:
        """Wait for the application's notes, and return them."""
        self.place.until(
            lambda: len(self.account.notes_of(application)) >= count, f"The application has no note {count}."
        )
        return self.account.notes_of(application)

    def key_for(self, address: str) -> str:
        """Wait for the invitation, and return its key."""
        (message,) = self.place.until(lambda: self.place.emails(address), f"No email to {address}.")
        return KEY.search(text_of(message)).group(1)

    def retry(self, order: dict[str, Any], action: str | None = None, status: int = 200) -> Any:
        return self.api("POST", f"{self.path}/orders/{order['id']}/retry", {"action": action}, status)

    # The candidate

    def start(self, key: str) -> str:
        """Agree, and start. Return the session's id."""
        disclosure = self.candidate_call(key, "GET", f"/v1/candidate/consent?key={key}")
        body = {"key": key, "disclosureHash": disclosure["disclosureHash"]}
        self.candidate_call(key, "POST", "/v1/candidate/consent", body)
        return self.candidate_call(key, "POST", "/v1/candidate/redeem", {"key": key})["sessionId"]

    def submit(self, key: str, session_id: str) -> None:
        self.candidate_call(key, "POST", "/v1/candidate/complete", {"key": key, "sessionId": session_id})

    def work(self, address: str) -> str:
        """Read the invitation, work and submit. Return the session's id."""
        key = self.key_for(address)
        session_id = self.start(key)
        self.place.advance(timedelta(minutes=30))
        self.settle()
        self.submit(key, session_id)
        return session_id

    def submit_and_wait(self, application: str, address: str) -> None:
        """Send the webhook, work and submit, and let the report become due."""
        self.hint(application)
        self.work(address)
        self.wait_for(application, "submitted")
        self.place.advance(COLLECTING)

    # The reviewers

    def score(self, session_id: str, value: int, **fields: Any) -> None:
        scores = [{"criterion": name, "value": value} | fields for name in ("quality", "tests")]
        self.api("PUT", f"/v1/sessions/{session_id}/scores", {"scores": scores})
        self.settle()

    def decide(self, candidate_id: str, decision: str) -> None:
        self.api("PUT", f"/v1/candidates/{candidate_id}/decision", {"decision": decision})
        self.settle()

    def erase(self, candidate_id: str) -> Any:
        return self.api("DELETE", f"/v1/candidates/{candidate_id}/data")


@contextmanager
def errors_raised(logger: str) -> Iterator[None]:
    """Fail if an error was logged, because the worker continues after an exception."""
    errors: list[logging.LogRecord] = []
    handler = logging.Handler(logging.ERROR)
    handler.emit = errors.append  # type: ignore[method-assign]
    logging.getLogger(logger).addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger(logger).removeHandler(handler)
    assert [handler.format(error) for error in errors] == []


@contextmanager
def in_process(
    app_with: Any, clock: Any, folder: Path, organization: Any, system: str, **options: Any
) -> Iterator[Story]:
    """Run the stand-ins, and yield a story of an organization in this process.

    options -- the account's attributes, and settings in capitals
    """
    own_settings = {name: options.pop(name) for name in tuple(options) if name.isupper()}

    def now() -> float:
        return clock.fixed.timestamp()

    server, slack = SERVERS[system](now), SlackServer(now)
    with serving(server, slack):
        settings = settings_for(folder, server, slack)
        settings |= {"RATELIMIT_ENABLED": "false", "LOG_LEVEL": "ERROR"} | own_settings
        app = app_with(**settings)
        StorageMarker.adopt(app.extensions["storage"])
        token = ApiToken.issue(organization, "Admin", "write")[1]
        with errors_raised("proofstone.worker"):
            yield Story(InProcess(app, clock), token, server.add_account(**options), slack=slack)


def check_done_once(story: Story, application: str, notes: int = 1) -> None:
    """Check that there are one order, one email, and these notes, each with its own reference."""
    story.settle()
    assert story.order(application)["state"] != "attention"
    assert len(story.orders()) == len(story.place.emails()) == 1
    references = [reference(note) for note in story.account.notes_of(application)]
    assert [number for _, number in references] == list(range(1, notes + 1))


def text_of(message: email.message.EmailMessage) -> str:
    return message.get_body(("plain",)).get_content()


def reference(note: str) -> tuple[str, int]:
    """Return a note's reference: the order's part, and the report's number."""
    match = REFERENCE.search(note)
    assert match, f"The note has no reference: {note!r}"
    return match.group(1), int(match.group(2))
