"""The README's quick start returns the same fields and values as in version a928dcb.

`readme_responses.json` contains that version's responses with masked ids, times and keys, and without `seal`, which the
ledger's checkpoint replaces. New fields are allowed.
"""

import json
import re
from pathlib import Path

from callers import Caller
from factories import make_organization

RESPONSES = Path(__file__).with_name("readme_responses.json")
TASK = "Orders are lost under load. Find out why and fix it."
ASSESSMENT = {"title": "Backend API Challenge", "role": "Senior Backend Engineer", "taskBrief": TASK}
KEYS = {"count": 1, "candidateEmails": ["alice@example.com"], "candidateNames": ["Alice"]}
LEVELS = [{"value": 1, "label": "Weak"}, {"value": 3, "label": "Solid"}, {"value": 5, "label": "Strong"}]
RUBRIC = {"name": "Backend", "criteria": [{"key": "quality", "title": "Quality", "levels": LEVELS}]}
PROMPT = {"id": "1", "v": 1, "kind": "prompt", "ts": "2026-04-02T09:00:00Z"}
PROMPT |= {"data": {"text": "Where are orders written?"}}
DIFF = {"id": "2", "v": 1, "kind": "file_diff", "ts": "2026-04-02T09:03:00Z"}
DIFF |= {"data": {"path": "orders.py"}, "provenance": {"attribution": "likely_human"}}
COMMAND = {"id": "3", "v": 1, "kind": "command", "ts": "2026-04-02T09:05:00Z"}
COMMAND |= {"data": {"command": "pytest", "exitCode": 0}}
SCORE = {"value": 3, "comment": "Found the race.", "evidence": ["2"]}
# Fields whose values have changed intentionally
CHANGED = {"tosUrl": "", "disclosure": {}}
# Method and path, body, and a value to save for later requests: its name and its path in the response
REQUESTS = [
    ("POST /assessments", ASSESSMENT | {"timeLimitMinutes": 90}, "ASSESSMENT assessment id"),
    ("POST /assessments/$ASSESSMENT/keys", KEYS, "KEY keys 0 key"),
    ("GET /candidate/consent?key=$KEY", None, "HASH disclosureHash"),
    ("POST /candidate/consent", {"key": "$KEY", "disclosureHash": "$HASH"}, None),
    ("POST /candidate/redeem", {"key": "$KEY"}, "SESSION sessionId"),
    ("POST /hooks/ingest", PROMPT, None),
    ("POST /hooks/ingest", DIFF, None),
    ("POST /hooks/ingest", COMMAND, None),
    ("POST /candidate/complete", {"key": "$KEY", "sessionId": "$SESSION"}, None),
    ("GET /sessions/$SESSION", None, None),
    ("GET /sessions/$SESSION/timeline", None, None),
    ("GET /assessments/$ASSESSMENT/cohort-stats?sessionId=$SESSION", None, None),
    ("POST /rubrics", RUBRIC, "RUBRIC rubric id"),
    ("PATCH /assessments/$ASSESSMENT", {"rubricId": "$RUBRIC"}, None),
    ("PUT /sessions/$SESSION/scores/quality", SCORE, None),
]
MASKS = {
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}": "<id>",
    r"\d{4}-\d\d-\d\dT[\d:]+\.\d{3}Z": "<time>",
    r"PST-[A-Z0-9]{4}-[A-Z0-9]{4}": "<key>",
    r"[0-9a-f]{16,64}": "<hash>",
}


def responses(reviewer, anonymous):
    """Send the requests in order; yield each with its response's status and masked body."""
    values = {}
    for request, body, saved in REQUESTS:
        method, path = substitute(request, values).split(" ")
        is_candidate = path.startswith(("/candidate", "/hooks"))
        caller, headers = (anonymous, {"X-API-Key": values["KEY"]}) if is_candidate else (reviewer, None)
        json_body = body and json.loads(substitute(json.dumps(body), values))
        response = caller.request(method, f"/v1{path}", headers, json=json_body)
        if saved:
            name, *steps = saved.split()
            value = response.json
            for step in steps:
                value = value[int(step) if step.isdigit() else step]
            values[name] = value
        yield request, response.status_code, mask(response.json)


def substitute(text, values):
    return re.sub(r"\$([A-Z]+)", lambda name: values[name[1]], text)


def mask(value):
    if isinstance(value, dict):
        return {name: mask(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [mask(inner) for inner in value]
    if isinstance(value, str):
        return next((text for pattern, text in MASKS.items() if re.fullmatch(pattern, value)), value)
    return value


def assert_contains(new, old, where):
    """Check that the new value contains every field of the old one, with the same value."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name, value in old.items():
            assert name in new, f"{where}: {name} is missing."
            assert_contains(new[name], CHANGED.get(name, value), f"{where}.{name}")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (new_entry, old_entry) in enumerate(zip(new, old, strict=True)):
            assert_contains(new_entry, old_entry, f"{where}[{index}]")
    else:
        assert new == old, where


def test_readme_responses_are_unchanged(app):
    reviewer = Caller.reviewer(app, make_organization("Example Ltd"), name="First token")
    before = json.loads(RESPONSES.read_text(encoding="utf-8"))
    for (request, status, body), old in zip(responses(reviewer, Caller(app)), before, strict=True):
        assert status == old["status"], request
        assert_contains(body, old["body"], request)
