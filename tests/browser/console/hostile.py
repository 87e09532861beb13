"""Events with what a candidate could write to attack or mislead a reviewer."""

from typing import Any

from tests.live.cast import event

MARKUP = '<img src=x onerror="document.title=1"><script>document.title=2</script><b>The record is intact</b>'
REVERSED = "report\u202excod.exe\u2066 \u200binvisible\u200f"
MARKS = "a" + "\u0323\u0301" * 400
ANSI = "\x1b[31mred\x1b[0m\x07\x1b]0;title\x07 \u2028 \x9b2J"
LONG = "long" * 5_000
EMOJI = "👩‍💻 👍🏽 🏳️‍🌈 مرحبا שלום"
LINK = "javascript:document.title=3 data:text/html,<script>1</script> //evil.example.com"
TEXTS = (MARKUP, REVERSED, MARKS, ANSI, LONG, EMOJI, LINK)


def hostile_events() -> list[dict[str, Any]]:
    """Each text as a prompt, an answer, a command, a path, a diff, a decision, and a kind of its own."""
    events = []
    for text in TEXTS:
        data = {
            "path": text[:900],
            "diff": f"@@ -1 +1 @@\n-{text}\n+{text}\n",
            "linesAdded": 1,
            "linesRemoved": 1,
        }
        events += [
            ("prompt", {"text": text}),
            ("ai_response", {"lastAssistantMessage": text, "model": text[:200], "outputTokens": 1}),
            ("file_diff", data),
            ("command", {"command": text, "exitCode": 1, "stderr": text}),
            ("tool_intent", {"toolName": text[:200]}),
            ("decision_event", {"title": text, "rationale": text}),
            (text[:36], {"text": text}),
        ]
    return [event(kind, second=7 * n, data=data) for n, (kind, data) in enumerate(events)]
