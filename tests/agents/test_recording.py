"""The model proxy records real agents: the record equals the script that they followed.

`make agents` runs these tests. claude_code.py is a script; script.py describes its steps.
"""

from itertools import chain

from independent_metrics import BILLION, recompute

from tests.agents import expected
from tests.agents.prices import cost_nano_usd
from tests.agents.recording import apply_changes


def test_the_run_followed_the_script(recording):
    """Otherwise the other tests say nothing."""
    assert recording.unexpected == []
    assert recording.rejected == {id(answer) for answer in recording.script.answers() if answer.rejected_with}
    assert recording.files == recording.scenario.workspace.files
    answers = {id(call.answer) for call in recording.served if call.answer}
    assert answers == {id(answer) for answer in recording.script.answers()}
    assert len(answers) == len([call for call in recording.served if call.answer])


def test_the_timeline_equals_the_script(recording):
    wanted = expected.timelines(recording.script, recording.served)
    found = expected.recorded(recording.events, wanted)
    assert [[expected.label(event) for event in each] for each in found] == [
        [expected.label(event) for event in each] for each in wanted
    ]
    for event, wanted_event in zip(chain(*found), chain(*wanted), strict=True):
        assert {name: event.data.get(name) for name in wanted_event.data} == wanted_event.data


def test_the_recorded_changes_give_the_final_files(recording, tmp_path):
    files = recording.scenario.workspace.files
    changes = [
        event for event in recording.events if event["data"].get("path") in recording.scenario.workspace.names
    ]
    assert apply_changes(tmp_path, changes) == files


def test_each_call_has_the_usage_that_the_provider_sent(recording):
    wanted = {call.request_id: expected.usage_of(call) for call in recording.served if call.is_whole}
    found = [event["data"] for event in recording.events if event["kind"] in expected.RESPONSES]
    found = [data for data in found if data["requestId"] in wanted]
    assert len(found) == len(wanted)
    for data in found:
        assert {name: data.get(name) for name in wanted[data["requestId"]]} == wanted[data["requestId"]]


def test_side_calls_are_no_conversation(recording):
    """Calls for titles and summaries give usage only."""
    titles = {call.request_id for call in recording.served if call.answer is None}
    found = [event for event in recording.events if event["data"].get("requestId") in titles]
    assert [event["kind"] for event in found] == ["subagent_usage"] * len(titles)
    assert not [event for event in found if "lastAssistantMessage" in event["data"]]


def test_requests_that_are_sent_again_add_only_their_responses(recording):
    before, after = (
        [event for event in events if event["kind"] not in expected.RESPONSES]
        for events in (recording.events, recording.repeated["events"])
    )
    assert after == before


def test_metrics_equal_an_independent_computation(recording):
    session = recording.repeated
    wanted, metrics = recompute(session["events"]), session["metrics"]
    integers = (
        "durationMs", "firstChangeLatencyMs", "promptCount", "decisionCount", "fileChangeCount", "uniqueFilesTouched",
        "testRunCount", "testsPassed", "commandCount", "errorEpisodes", "toolUsage",
    )  # fmt: skip
    ratios = ("commandFailRate", "verifyIntensity", "manualEditRatio")
    assert {name: metrics[name] for name in integers} == {name: wanted[name] for name in integers}
    assert [metrics[name] for name in ratios] == [round(wanted[name] / BILLION, 3) for name in ratios]
    assert session["eventCount"] == wanted["eventCount"]


def test_the_cost_of_the_session_is_the_sum_of_its_responses(recording):
    """Those of interrupted responses, which the service estimates, are taken as they are."""
    costs = {
        row["request_id"]: row["cost_nano_usd"]
        for row in recording.calls
        if row["request_id"] in recording.cut
    }
    costs |= {
        call.request_id: cost_nano_usd(call.model, call.usage)
        for call in recording.all_served
        if call.is_whole
    }
    events = [event for event in recording.repeated["events"] if event["kind"] in expected.RESPONSES]
    requests = [event["data"]["requestId"] for event in events]
    assert len(set(requests)) == len(requests)
    total = sum(costs[request] for request in requests)
    assert round(recording.repeated["metrics"]["totalCostUsd"] * BILLION) == total


def test_each_call_is_kept_with_the_providers_id(recording):
    kept = {row["request_id"]: row for row in recording.calls}
    whole = [call for call in recording.served if call.is_whole]
    costs = {call.request_id: cost_nano_usd(call.model, call.usage) for call in whole}
    assert {name: kept[name]["cost_nano_usd"] for name in costs} == costs
    assert len(kept) == len(recording.calls) == len(recording.served)
    assert {(row["is_recorded"], row["tool"]) for row in recording.calls} == {(1, recording.scenario.tool)}


def test_events_name_the_tool_and_its_session(recording):
    sources = {tuple(sorted(event["source"].items())) for event in recording.events}
    (source,) = map(dict, sources)
    assert source["channel"] == "proxy"
    assert source["tool"] == recording.scenario.tool
    assert source["version"]
    # A resumed session is the same one.
    assert len({event["data"]["meta"]["ideSessionId"] for event in recording.events}) == 1
