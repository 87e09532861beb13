"""One-line event summaries."""

import pytest

from rules.events.summaries import MAX_NOTE_CHARACTERS, MAX_SUBJECT_CHARACTERS, format_summary, summarize


def summary(kind, data, **fields):
    return format_summary(*summarize({"kind": kind, "source": "claude-code", "data": data} | fields))


@pytest.mark.parametrize(
    ("kind", "data", "expected"),
    [
        ("prompt", {"text": " Fix\n\nthe\tqueue "}, "Fix the queue"),
        ("prompt", {"text": "No", "followsInterrupt": True}, "No · after an interrupt"),
        ("ai_response", {"lastAssistantMessage": "Done", "model": "m"}, "Done · m"),
        ("ai_response", {"model": "m", "outputTokens": 5}, "m, output tokens: 5"),
        ("file_diff", {"path": "a.go", "linesAdded": 3, "linesRemoved": 0, "content": "x"}, "a.go · +3 -0, whole file"),
        ("file_diff", {"path": "a.go", "changeType": "delete"}, "a.go · deleted"),
        ("file_diff", {"path": "a.go", "movePath": "b.go"}, "a.go · moved to b.go"),
        ("command", {"command": "go test", "exitCode": 1}, "go test · exit 1"),
        ("command", {"command": "go test"}, "go test"), ("command", {"scrubbed": "***"}, "***"),
        ("file_read", {"path": "a.go", "numLines": 91}, "a.go · lines: 91"),
        ("file_search", {"pattern": "queue", "resultsCount": 0}, "queue · results: 0"),
        ("planning", {"todos": [{"step": "A", "status": "pending"}]}, "steps: 1 · 1 open"),
        ("planning", {"subject": "Write a test"}, "Write a test"),
        ("planning", {"taskId": "3", "status": "completed"}, "3 · completed"),
        ("tool_use", {"toolName": "Skill", "inputPreview": "{}", "ok": True}, "Skill · {}"),
        ("tool_use", {"toolName": "Read", "ok": False}, "Read · failed"),
        ("mcp_call", {"tool": "search", "argsPreview": "{}", "error": "none"}, "search · {}: none"),
        ("decision_event", {"title": "Queue", "chosenOption": "Table"}, "Queue · Table"),
        ("web_lookup", {"toolName": "WebFetch", "url": "https://x"}, "https://x"),
        ("web_lookup", {"toolName": "WebSearch", "query": "go queues"}, "go queues"),
        ("test_run", {"passed": 3, "failed": 1}, "3 passed, 1 failed"),
        ("editor_edit", {"subKind": "paste", "filePath": "a.go", "charCount": 900}, "a.go · paste, characters: 900"),
        ("unknown", {"n": 1, "what": "something"}, "something"), ("context_compact", {}, ""),
        ("planning", {"todos": [{"content": "A", "status": "completed"}, {"content": "B", "status": "in_progress"}]},
         "B · 1 done, 1 in progress"),
    ],
)  # fmt: skip
def test_a_summary_consists_of_a_subject_and_a_note(kind, data, expected):
    assert summary(kind, data) == expected


def test_summaries_omit_hook_exit_codes_and_codex_totals():
    assert summary("command", {"command": "ls", "exitCode": 0}, provenance={"methods": ["hook"]}) == "ls"
    data = {"lastAssistantMessage": "Done", "outputTokens": 5}
    assert summary("ai_response", data, source="codex") == "Done"


@pytest.mark.parametrize("kind", ["tool_use", "planning"])
def test_summaries_are_truncated(kind):
    names = {"subject": "x", "toolName": "y ", "inputPreview": "z", "status": "s"}
    subject, note = summarize({"kind": kind, "data": {name: text * 10**6 for name, text in names.items()}})
    assert (len(subject), len(note)) == (MAX_SUBJECT_CHARACTERS, MAX_NOTE_CHARACTERS)
    assert subject.endswith("…")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\0b", "a b"), ("a\ud800b", "a\ufffdb"), ("a\x1b[31mb", "ab"), ("a\u2028b", "a b"),
        ("a" + " " * 10**6 + "b", "a…"),
    ],
    ids=["NUL", "surrogate", "escape code", "line separator", "whitespace"],
)  # fmt: skip
def test_summaries_are_one_printable_line(text, expected):
    assert summary("prompt", {"text": text}) == expected


@pytest.mark.parametrize(
    "envelope", [None, [], {}, {"kind": 5, "data": []}, {"kind": "command", "data": {"command": {}}}]
)
def test_events_without_content_have_empty_summaries(envelope):
    assert summarize(envelope) == (None, None)
