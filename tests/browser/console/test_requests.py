"""The agent's requests and their results, which are one row of the timeline."""

import json
from datetime import UTC, datetime

import pytest

from tests.live.cast import event, make_candidate

AI = {"actor": {"type": "ai"}}


def request(tool, second, **arguments):
    """Build a request with the first 100 characters of its input, like the candidate's client."""
    data = {"toolName": tool, "inputPreview": json.dumps(arguments, separators=(",", ":"))[:100]}
    return event("tool_intent", second, id=f"request{second}", data=data, **AI)


def result(kind, second=7, **data):
    return event(kind, second, id=f"result{second}", data=data, **AI)


@pytest.fixture
def open_report(site, team, assessment, open_console):
    """Record events, and open the report at one of them."""

    def open_report(events, event_id):
        candidate = make_candidate(site, team, assessment)
        for each in events:
            assert candidate.ingest(each).status == 201, each
        return open_console(team, f"/sessions/{candidate.session_id}?event={event_id}")

    return open_report


def open_request(visit):
    return visit.page.get_by_role("link", name="Open the agent's request").get_attribute("href")


def test_a_clients_request_joins_the_result_that_names_its_path(open_report):
    edits = [{"file_path": f"/home/ann/{path}", "old_string": "x" * 90} for path in ("b.py", "a.py")]
    results = [result("file_diff", second, path=path) for second, path in ((2, "a.py"), (3, "b.py"))]
    requests = [request("Edit", second, **edit) for second, edit in enumerate(edits)]
    visit = open_report([*requests, *results, request("Read", 4, file_path="/home/ann/c.py")], "result3")
    assert visit.shows("3 of 5 events")
    assert open_request(visit).endswith("event=request0")


@pytest.mark.parametrize(
    ("found", "request_id"),
    [
        (result("command", command="ls"), "request3"),
        (result("command", command='ls "a"'), "request4"),
        (result("file_read", path="a"), "request5"),
        (
            result("tool_use", toolName="Read", inputPreview='{"file_path":"/home/ann/a"}', ok=False),
            "request5",
        ),
    ],
)
def test_a_result_joins_the_newest_request_that_names_it(open_report, found, request_id):
    requests = [
        request("Write", 0, file_path="/home/ann/src/tools.py"),
        request("Bash", 1, command="ls"),
        event("prompt", 2, data={"text": "Show all files"}),
        request("Bash", 3, command="ls", description="List the files"),
        request("Bash", 4, command='ls "a"'),
        request("Read", 5, file_path="/home/ann/a"),
        request("Read", 6, file_path="/home/ann/b"),
    ]
    visit = open_report([*requests, found], "result7")
    assert open_request(visit).endswith(f"event={request_id}")


def test_results_of_parallel_requests_join_in_order(open_report):
    requests = [request("Grep", second, pattern="total", path=f"/home/ann/{second}") for second in range(3)]
    results = [result("file_search", 3 + number, pattern="total", resultsCount=number) for number in range(3)]
    assert open_request(open_report([*requests, *results], "result3")).endswith("event=request0")


def test_a_subagents_response_is_no_result(open_report):
    read = request("Read", 0, file_path="/home/ann/a.py")
    usage, found = result("subagent_usage", 1, outputTokens=9), result("file_read", 2, path="a.py")
    assert open_request(open_report([read, usage, found], "result2")).endswith("event=request0")


def test_requests_of_another_channel_do_not_change_the_order(site, team, assessment, open_console):
    candidate = make_candidate(site, team, assessment)

    def ingest(body):
        assert candidate.ingest(body | {"ts": datetime.now(UTC).isoformat()}).status == 201

    for second in (0, 2):
        call = {"tool_name": "Bash", "tool_input": {"command": "ls"}, "tool_use_id": f"toolu_{second}"}
        hook = {"hook_event_name": "PreToolUse", "session_id": "1", **call}
        assert candidate.post("/v1/hooks/claude-code", hook).status == 200
        ingest(request("Bash", second, command="ls"))
        ingest(event("prompt", second + 1, data={"text": "No, show all files"}))
    ingest(result("command", command="ls"))
    visit = open_console(team, f"/sessions/{candidate.session_id}?event=result7")
    assert open_request(visit).endswith("event=request2")
