"""The model proxy records real agents: the recording equals the script that they followed.

`make agents` runs these tests. claude_code.py is an example of a script; script.py describes the steps.
"""

from itertools import chain

from independent_metrics import BILLION, recompute

from tests.agents import expected
from tests.agents.prices import cost_nano_usd, has_price
from tests.agents.recording import apply_changes

# The channels that a workspace's settings turn on. The other scenarios use the proxy alone.
CHANNELS = {
    "claude_workspace": {"proxy", "http-hook", "otlp"},
    "terminal_workspace": {"proxy", "http-hook", "otlp"},
    "codex_workspace": {"proxy", "otlp"},
    "messages": {"proxy", "http-hook"},
}
# The proxy does not record these.
NOT_PROXIED = {
    "session_start", "session_end", "subagent_start", "subagent_stop", "context_compact", "agent_error",
    "permission_request", "permission_decision", "mode_change",
}  # fmt: skip


def test_the_run_followed_the_script(recording):
    assert recording.unexpected == []
    assert recording.rejected == {id(answer) for answer in recording.script.answers() if answer.rejected_with}
    assert recording.files == recording.scenario.workspace.files
    answers = {id(call.answer) for call in recording.served if call.answer}
    assert answers == {id(answer) for answer in recording.script.answers()}
    assert len(answers) == len([call for call in recording.served if call.answer])


def test_the_timeline_equals_the_script(recording):
    scripted = expected.timelines(recording.script, recording.served)
    recorded = expected.recorded(recording.events, scripted)
    assert [list(map(expected.label, events)) for events in recorded] == [
        list(map(expected.label, events)) for events in scripted
    ]
    for event, scripted_event in zip(chain(*recorded), chain(*scripted), strict=True):
        assert {name: event.data.get(name) for name in scripted_event.data} == scripted_event.data


def test_the_recorded_changes_yield_the_final_files(recording, tmp_path):
    workspace = recording.scenario.workspace
    changes = [event for event in recording.events if event["data"].get("path") in workspace.names]
    assert apply_changes(tmp_path, changes) == workspace.files


def test_each_call_has_the_usage_that_the_provider_sent(recording):
    usage = {call.request_id: expected.usage_of(call) for call in recording.served if call.is_complete}
    responses = [event["data"] for event in recording.events if event["kind"] in expected.RESPONSES]
    responses = [data for data in responses if data["requestId"] in usage]
    assert len(responses) == len(usage)
    for data in responses:
        assert {name: data.get(name) for name in usage[data["requestId"]]} == usage[data["requestId"]]


def test_side_calls_record_only_usage(recording):
    titles = {call.request_id for call in recording.served if call.answer is None}
    events = [event for event in recording.events if event["data"].get("requestId") in titles]
    assert [event["kind"] for event in events] == ["subagent_usage"] * len(titles)
    assert not [event for event in events if "lastAssistantMessage" in event["data"]]


def test_repeated_requests_add_only_their_responses(recording):
    before, after = (
        [event for event in session["events"] if event["kind"] not in expected.RESPONSES]
        for session in (recording.session, recording.repeated)
    )
    assert after == before


def test_an_honest_history_is_no_finding(recording):
    assert recording.findings == []


def test_every_text_of_a_request_is_recorded_once(recording):
    contexts = [event["data"] for event in recording.events if event["kind"] == "context"]
    assert {"system", "user"} <= {data["role"] for data in contexts}
    texts = [(data["role"], data["text"]) for data in contexts]
    assert len(texts) == len(set(texts))


def test_metrics_match_an_independent_implementation(recording):
    session = recording.repeated
    recomputed, metrics = recompute(recording.counted), session["metrics"]
    integers = (
        "durationMs", "firstChangeLatencyMs", "promptCount", "decisionCount", "fileChangeCount", "uniqueFilesTouched",
        "testRunCount", "testsPassed", "commandCount", "errorEpisodes", "toolUsage",
    )  # fmt: skip
    ratios = ("verifyIntensity", "manualEditRatio")
    assert {name: metrics[name] for name in integers} == {name: recomputed[name] for name in integers}
    assert [metrics[name] for name in ratios] == [round(recomputed[name] / BILLION, 3) for name in ratios]
    rate = recomputed["commandFailRate"]
    assert metrics["commandFailRate"] == (None if rate is None else round(rate / BILLION, 3))
    assert session["eventCount"] == recomputed["eventCount"]


def test_commands_count_once_with_their_exit_codes(recording):
    commands = [event["data"] for event in recording.counted if event["kind"] == "command"]
    counted = [(data["command"], data.get("exitCode")) for data in commands]
    assert sorted(counted) == sorted(recording.scenario.workspace.commands)


def test_the_sessions_cost_is_the_sum_of_its_responses(recording):
    """The service estimates interrupted responses. Their costs are not recomputed."""
    costs = {row["request_id"]: row["cost_nano_usd"] for row in recording.calls}
    costs = {request: cost for request, cost in costs.items() if request in recording.interrupted}
    complete = [call for call in recording.all_served if call.is_complete]
    costs |= {call.request_id: cost_nano_usd(call.model, call.usage) for call in complete}
    events = [event for event in recording.counted if event["kind"] in expected.RESPONSES]
    requests = [event["data"]["requestId"] for event in events]
    assert len(set(requests)) == len(requests)
    has_prices = all(has_price(call.model) for call in recording.all_served)
    total = sum(costs[request] for request in requests) if has_prices else None
    cost_usd = recording.repeated["metrics"]["totalCostUsd"]
    assert (cost_usd and round(cost_usd * BILLION)) == total


def test_each_call_is_stored_with_the_providers_id(recording):
    stored = {row["request_id"]: row for row in recording.calls}
    complete = [call for call in recording.served if call.is_complete]
    costs = {call.request_id: cost_nano_usd(call.model, call.usage) for call in complete}
    assert {name: stored[name]["cost_nano_usd"] for name in costs} == costs
    assert len(stored) == len(recording.calls) == len(recording.served)
    assert {(row["is_recorded"], row["tool"]) for row in recording.calls} == {(1, recording.scenario.tool)}


def test_events_name_the_tool_and_its_session(recording):
    sources = {tuple(sorted(event["source"].items())) for event in recording.events}
    (source,) = map(dict, sources)
    assert source["channel"] == "proxy"
    assert source["tool"] == recording.scenario.tool
    assert source["version"]
    # A resumed session keeps its id.
    assert len({event["data"]["meta"]["ideSessionId"] for event in recording.events}) == 1


def test_other_channels_repeat_the_proxys_calls(recording):
    channels: dict[str, list] = {}
    for event in recording.repeated["events"]:
        channels.setdefault(event["source"]["channel"], []).append(event["data"].get("toolUseId"))
    assert channels.keys() == CHANNELS.get(recording.scenario.name, {"proxy"})
    commands = {event["data"]["toolUseId"] for event in recording.counted if event["kind"] == "command"}
    assert all(commands <= set(calls) for calls in channels.values())
    added = {event["kind"] for event in recording.counted if event["source"]["channel"] != "proxy"}
    # opencode's plugin reports exit codes.
    assert added <= NOT_PROXIED | ({"command"} if recording.scenario.tool == "opencode" else set())
