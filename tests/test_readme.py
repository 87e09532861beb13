"""The quick start of the README: the same requests get the same fields and values as in version a928dcb.

`readme_responses.json` has the responses of that version; ids, times and keys are masked. Responses may have further
fields.
"""

import json
import re
from pathlib import Path

from callers import Caller
from factories import make_organization

RESPONSES = Path(__file__).with_name("readme_responses.json")
TASK = "Orders are lost under load. Find out why and fix it."
NEW_ASSESSMENT = {"title": "Backend API Challenge", "role": "Senior Backend Engineer", "taskBrief": TASK}
LEVELS = [{"value": 1, "label": "Weak"}, {"value": 3, "label": "Solid"}, {"value": 5, "label": "Strong"}]
CRITERIA = [{"key": "quality", "title": "Quality", "levels": LEVELS}]
PROMPT = {"id": "1", "v": 1, "kind": "prompt", "ts": "2026-04-02T09:00:00Z"}
DIFF = {"id": "2", "v": 1, "kind": "file_diff", "ts": "2026-04-02T09:03:00Z"}
COMMAND = {"id": "3", "v": 1, "kind": "command", "ts": "2026-04-02T09:05:00Z"}
# Fields that have another value since then, on purpose.
CHANGED = {"tosUrl": "", "disclosure": {}}
# Caller, method, path, body, and the value that later requests use: its name and where it is in the response.
REQUESTS = [
    (
        "reviewer",
        "POST",
        "/assessments",
        NEW_ASSESSMENT | {"timeLimitMinutes": 90},
        "ASSESSMENT assessment id",
    ),
    (
        "reviewer",
        "POST",
        "/assessments/$ASSESSMENT/keys",
        {"count": 1, "candidateEmails": ["alice@example.com"], "candidateNames": ["Alice"]},
        "KEY keys 0 key",
    ),
    ("candidate", "GET", "/candidate/consent?key=$KEY", None, None),
    ("candidate", "POST", "/candidate/consent", {"key": "$KEY"}, None),
    ("candidate", "POST", "/candidate/redeem", {"key": "$KEY"}, "SESSION sessionId"),
    ("candidate", "POST", "/hooks/ingest", PROMPT | {"data": {"text": "Where are orders written?"}}, None),
    (
        "candidate",
        "POST",
        "/hooks/ingest",
        DIFF | {"data": {"path": "orders.py"}, "provenance": {"attribution": "likely_human"}},
        None,
    ),
    ("candidate", "POST", "/hooks/ingest", COMMAND | {"data": {"command": "pytest", "exitCode": 0}}, None),
    ("candidate", "POST", "/candidate/complete", {"key": "$KEY", "sessionId": "$SESSION"}, None),
    ("reviewer", "GET", "/sessions/$SESSION", None, None),
    ("reviewer", "GET", "/sessions/$SESSION/timeline", None, None),
    ("reviewer", "GET", "/assessments/$ASSESSMENT/cohort-stats?sessionId=$SESSION", None, None),
    ("reviewer", "POST", "/rubrics", {"name": "Backend", "criteria": CRITERIA}, "RUBRIC rubric id"),
    ("reviewer", "PATCH", "/assessments/$ASSESSMENT", {"rubricId": "$RUBRIC"}, None),
    (
        "reviewer",
        "PUT",
        "/sessions/$SESSION/scores/quality",
        {"value": 3, "comment": "Found the race.", "evidence": ["2"]},
        None,
    ),
]
MASKS = {
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}": "<id>",
    r"\d{4}-\d\d-\d\dT[\d:]+\.\d{3}Z": "<time>",
    r"PST-[A-Z0-9]{4}-[A-Z0-9]{4}": "<key>",
    r"[0-9a-f]{16,64}": "<hash>",
}


def responses(client, headers):
    """The status and the masked body of each request, in order."""
    values = {}
    for caller, method, path, body, picked in REQUESTS:
        body = body and json.loads(filled(json.dumps(body), values))
        own = headers if caller == "reviewer" else {"X-API-Key": values["KEY"]}
        url = f"/v1{filled(path, values)}"
        response = client.open(url, method=method, json=body, headers=own, buffered=True)
        if picked:
            name, *steps = picked.split()
            values[name] = pick(response.json, steps)
        yield f"{method} {path}", response.status_code, masked(response.json)


def filled(text, values):
    return re.sub(r"\$([A-Z]+)", lambda name: values[name[1]], text)


def pick(value, steps):
    for step in steps:
        value = value[int(step) if step.isdigit() else step]
    return value


def masked(value):
    if isinstance(value, dict):
        return {name: masked(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [masked(inner) for inner in value]
    if isinstance(value, str):
        return next((mask for pattern, mask in MASKS.items() if re.fullmatch(pattern, value)), value)
    return value


def assert_contains(new, old, where):
    """Every field of the old value is in the new one, with the same value."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name, value in old.items():
            assert name in new, f"{where}: {name} is missing."
            assert_contains(new[name], CHANGED.get(name, value), f"{where}.{name}")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (one, other) in enumerate(zip(new, old, strict=True)):
            assert_contains(one, other, f"{where}[{index}]")
    else:
        assert new == old, where


def test_readme_requests_answer_as_before(app):
    reviewer = Caller.reviewer(app, make_organization("Example Ltd"), name="First token")
    before = json.loads(RESPONSES.read_text(encoding="utf-8"))
    for (path, status, body), old in zip(responses(reviewer.client, reviewer.headers), before, strict=True):
        assert status == old["status"], path
        assert_contains(body, old["body"], path)
