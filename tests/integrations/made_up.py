"""A made-up applicant-tracking system: its adapter, and the system itself in memory instead of a Connection."""

from collections import deque

from integrations import rules, secrets
from integrations.adapter import Application, Hint, Job, RateLimit, Stage
from integrations.tables import Integration
from models.base import new_id

NAME = "Made up"
HOSTS = ("api.made-up.example",)
LIMIT = RateLimit(10, 1)
CREDENTIAL = SETTINGS = STEPS = ()


class System:
    """Applications and notes. `failures` are raised by the next writes, after those in `lost` took effect."""

    def __init__(self):
        self.applications = {}
        self.notes = []
        self.marks = {}
        self.reads = []
        self.failures = deque()
        self.read_failures = deque()
        self.lists_notes = True
        self.before_read = self.before_write = lambda: None

    def add(self, application_id="1", **values):
        values = {
            "person_id": f"p{application_id}",
            "stage_id": "s1",
            "job_id": "j1",
            "is_active": True,
        } | values
        values = {"name": "Alice Smith", "email": f"alice{application_id}@example.com"} | values
        self.applications[application_id] = Application(application_id, **values)
        return Hint((application_id,), values["person_id"], values["stage_id"], (values["job_id"],))

    def move(self, application_id="1", **values):
        self.applications[application_id] = self.applications[application_id]._replace(**values)

    def notes_of(self, application_id="1"):
        return [text for _, noted_id, text in self.notes if noted_id == application_id]


def verify(headers, body, signing_secrets):
    return headers.get("Signature") in signing_secrets


def parse(body):
    return Hint((body["id"],), stage_id=body["stage"])


def read_application(api, application_id):
    api.reads.append(application_id)
    api.before_read()
    if api.read_failures:
        raise api.read_failures.popleft()
    return api.applications.get(application_id)


def jobs(api):
    return [Job("j1", "Engineer")]


def stages(api, job_id):
    return [Stage("s1", "Take-home", job_id)]


def in_stage(api, stage_id, job_id):
    return [
        application
        for application in api.applications.values()
        if application.stage_id == stage_id and job_id in (None, application.job_id)
    ]


def write_note(api, application, text):
    api.before_write()
    failure, takes_effect = api.failures.popleft() if api.failures else (None, True)
    if takes_effect:
        api.notes.append((application.person_id, application.id, text))
    if failure:
        raise failure


def find_note(api, application, reference):
    if not api.lists_notes:
        return None
    return any(text.endswith(reference) for text in api.notes_of(application.id))


def set_mark(api, application, text):
    api.marks[application.id] = text


def make_integration(organization):
    row_id = new_id()
    encrypted = {"credential": secrets.encrypt(row_id, "{}"), "secret": secrets.encrypt(row_id, "secret")}
    columns = {"system": "made_up", "name": "Hiring", "credential_end": "1234"}
    return Integration.create(id=row_id, organization=organization, **columns, **encrypted)


def make_rule(integration, assessment, stage="s1", job="j1", **values):
    values = {
        "reports": ["submitted", "scored", "expired", "revoked"],
        "include": ["score", "duration"],
    } | values
    return rules.create(
        integration, Stage(stage, "Take-home"), job and Job(job, "Engineer"), assessment, **values
    )
