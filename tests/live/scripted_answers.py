"""What the candidate's programs decode answers into (client contract, sections 1 and 3), as strictly as they do."""

from typing import Any

from tests.live.client import Response

# Null and what is absent fit everywhere, and so do further members.
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
CONSENT = {
    "alreadyConfirmed": bool,
    "disclosureHash": str,
    "disclosure": {"version": str, "tosUrl": str}
    | dict.fromkeys(("captures", "doesNotCapture", "evaluated", "dataUse"), TEXTS),
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
UPLOAD_PLACE = dict.fromkeys(("uploadUrl", "objectKey", "token", "expiresAt"), str)
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
REFUSAL = {"error": str, "code": str, "completedAt": str}
PROVIDER_REFUSAL = {"error": {"message": str, "type": str}}


def decoded(answer: Response, shape: Any, status: int = 200) -> Any:
    """The answer's JSON, which has that status and fits the types that the program decodes it into."""
    assert answer.status == status, answer.text
    must_fit(answer.json, shape, "answer")
    return answer.json


def must_fit(value: Any, shape: Any, place: str) -> None:
    if value is None:
        return
    if isinstance(shape, dict):
        assert isinstance(value, dict), place
        for name, inner in shape.items():
            must_fit(value.get(name), inner, f"{place}.{name}")
    elif isinstance(shape, list):
        assert isinstance(value, list), place
        for each in value:
            must_fit(each, shape[0], f"{place}[]")
    else:
        # A whole number must be written without a fraction, and true is no number.
        assert type(value) is shape, f"{place}: {value!r}"
