"""A made-up system for the tests, without a network: a third adapter is one module."""

import hmac
import json

from integrations.adapter import Application, Hint, InputField, Job, RateLimit, Stage

NAME = "Example"
HOSTS = ("api.example.com",)
LIMIT = RateLimit(10, 1)
CREDENTIAL = (InputField("apiKey", "API key", "Settings > API keys."),)
SETTINGS = (
    InputField("visibility", "Visibility", "Who can read the notes.", choices=("public", "private")),
    InputField("userId", "Author", "The notes' author.", is_required=False),
)
STEPS = ("Open Settings, Webhooks.",)
JOBS = [Job("4011", "Backend Engineer")]
STAGES = [Stage("7021", "Take-home", "4011", "Backend Engineer"), Stage("7022", "Interview")]


def verify(headers, body, secrets):
    signature = headers.get("Signature", "").encode()
    return any(hmac.compare_digest(signature, sign(body, secret).encode()) for secret in secrets)


def sign(body, secret):
    return hmac.digest(secret.encode(), body, "sha256").hex()


def parse(body):
    payload = json.loads(body)
    return Hint((payload["application"],), stage_id=payload["stage"]) if "application" in payload else None


def read_application(api, application_id):
    return Application(application_id, f"person of {application_id}", "7021", "4011", True)


def jobs(api):
    return JOBS


def stages(api, job_id):
    return [stage for stage in STAGES if job_id in (None, stage.job_id)]


def in_stage(api, stage_id, job_id):
    return [
        Application(name, f"person of {name}", stage_id, "4011", True, name=f"Name of {name}")
        for name in ("265277", "265278")
    ]


def write_note(api, application, text): ...


def find_note(api, application, reference):
    return False
