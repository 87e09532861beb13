"""The candidate's programs' response types (docs/candidate-client.md), checked as strictly as they do."""

from typing import Any

from tests.live.client import Response

# Null, absent fields and unknown fields are always valid.
TEXTS = [str]
ANYTHING: dict[str, Any] = {}
BRIEF = {
    "scenario": str,
    "codebase": {"name": str, "description": str, "runCommand": str, "testCommand": str, "stack": TEXTS},
    "phases": [{"name": str, "goal": str, "tasks": TEXTS, "guidance": TEXTS}],
    "evaluation": TEXTS,
    "groundRules": TEXTS,
    "deliverables": TEXTS,
}
VERSION_CHECK = {"updateRequired": bool, "updateRecommended": bool} | dict.fromkeys(
    ("latestVersion", "minVersion", "message"), str
)
DISCLOSURE = dict.fromkeys(("captures", "doesNotCapture", "evaluated", "dataUse"), TEXTS)
CONSENT = {
    "alreadyConfirmed": bool,
    "disclosureHash": str,
    "disclosure": {"version": str, "tosUrl": str, **DISCLOSURE},
}
REDEEMED_TEXTS = (
    *("sessionId", "sessionToken", "assessmentId", "assessmentTitle", "orgName", "taskBrief", "repoUrl"),
    *("repoCommit", "repoSubdir", "setupInstructions", "issueId", "expiresAt", "authMode"),
    *("hostingLane", "hostedLaunchUrl", "expectedTreeSha"),
)
REDEEMED = dict.fromkeys(REDEEMED_TEXTS, str) | {
    "brief": BRIEF,
    "timeLimitMinutes": int,
    "tosAccepted": bool,
    "allowedTools": TEXTS,
}
HOSTED_BOOT = {"verdict": {"state": str}}
UPLOAD = dict.fromkeys(("uploadUrl", "objectKey", "token", "expiresAt"), str)
COMPLETED = {"ok": bool, "completedAt": str}
SESSION = {"eventCount": int, "status": str}
ACTIVITY = {
    "summary": str,
    "recentActivity": {"filesChanged": TEXTS, "commands": TEXTS, "promptCount": int},
    "periodMinutes": int,
    "eventCount": int,
}
SIGNED_EVENT = dict.fromkeys(("id", "ts", "sig", "prevSig", "eventHash"), str)
SIGNED_LOG = {
    "sessionId": str,
    "signingPubkey": str,
    "events": [SIGNED_EVENT | {"sigVerified": bool, "payload": ANYTHING}],
}
ERROR = {"error": str, "code": str, "completedAt": str}
PROVIDER_ERROR = {"error": {"message": str, "type": str}}


def decode(response: Response, shape: Any, status: int = 200) -> Any:
    """Check a response's status and shape, and return its JSON."""
    assert response.status == status, response.text
    check(response.json, shape, "response")
    return response.json


def check(value: Any, shape: Any, path: str) -> None:
    if value is None:
        return
    if isinstance(shape, dict):
        assert isinstance(value, dict), path
        for name, inner in shape.items():
            check(value.get(name), inner, f"{path}.{name}")
    elif isinstance(shape, list):
        assert isinstance(value, list), path
        for item in value:
            check(item, shape[0], f"{path}[]")
    else:
        # Not isinstance, because a bool is an int.
        assert type(value) is shape, f"{path}: {value!r}"
