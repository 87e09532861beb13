"""A session's timeline becomes its metrics: metrics.md, sentence by sentence, counted by hand."""

import dataclasses
import json
import tracemalloc
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rules import instants, metrics
from rules.metrics import derive, shown

ROOT = Path(__file__).parents[2]
SECOND = 10**9
BILLION = 10**9

CLAUDE, CODEX, TERMINAL = "claude-code", "codex", "terminal"
EDITOR = {"channel": "ide-extension", "integration": "vscode", "emitter": "promptster-vscode"}


def event(kind, seconds=0, /, *, id=None, source=CLAUDE, attribution=None, methods=(), **data):
    """One event of a timeline, `seconds` after the epoch."""
    envelope = {"kind": kind, "source": source, "data": data}
    envelope["id"] = id or f"{kind}-{seconds}-{json.dumps(data)}"
    envelope["provenance"] = {"attribution": attribution, "methods": list(methods)}
    return int(seconds * SECOND), envelope


def of(*timeline, **arguments):
    return derive(timeline, **arguments)


# Order, time, exactness


def test_a_session_without_events_has_no_times_and_zero_counts():
    nothing = of()
    assert nothing.duration_ms is None
    assert nothing.first_change_latency_ms is None
    assert nothing.tests_passed is None
    assert nothing.total_cost_nano_usd is None
    assert nothing.ai_attribution_permille is None
    assert (nothing.event_count, nothing.prompt_count, nothing.command_fail_rate) == (0, 0, 0)
    assert (nothing.verify_intensity, nothing.manual_edit_ratio, nothing.error_episodes) == (0, 0, 0)
    assert (nothing.tool_usage, nothing.tokens) == ({}, {})
    assert nothing.version == metrics.VERSION


def test_one_event_has_no_duration_and_two_at_once_have_none_to_speak_of():
    assert of(event("prompt", 5)).duration_ms is None
    assert of(event("prompt", 5), event("planning", 5)).duration_ms == 0


@pytest.mark.parametrize(
    ("nanoseconds", "milliseconds"),
    [(499_999, 0), (500_000, 1), (1_499_999, 1), (1_500_000, 2), (61_000_000_000, 61_000)],
)
def test_a_duration_is_rounded_half_up_from_the_exact_instants(nanoseconds, milliseconds):
    start = instants.parse("2026-01-02T03:04:05.123456789Z")
    timeline = [(start, {"id": "a", "kind": "prompt"}), (start + nanoseconds, {"id": "b", "kind": "unknown"})]
    assert derive(timeline).duration_ms == milliseconds


def test_events_of_any_kind_make_the_duration():
    assert of(event("editor_idle", 10), event("prompt", 20), event("no such kind", 70)).duration_ms == 60_000


def test_the_first_change_is_timed_from_the_first_event():
    timeline = [
        event("file_diff", 9),
        event("prompt", 2),
        event("file_create", 7.5),
        event("session_start", 1),
    ]
    assert derive(timeline).first_change_latency_ms == 6_500


def test_ties_are_broken_by_id():
    passing = event("test_run", 1, id="b", passed=1, failed=0)
    failing = event("test_run", 1, id="a", passed=0, failed=1)
    assert of(passing, failing).tests_passed is True
    assert of(failing, passing).tests_passed is True


# Commands


def test_the_fail_rate_is_of_the_commands_with_a_known_exit_code():
    result = of(
        event("command", 1, exitCode=0),
        event("command", 2, exitCode=1),
        event("command", 3, exitCode=-1),
        event("command", 4),
        event("command", 5, exitCode=True),
        event("command", 6, exitCode=1.0),
        event("command", 7, exitCode="1"),
        event("command", 8, exitCode=None),
    )
    assert result.command_count == 8
    assert result.command_fail_rate == 666_666_667


def test_an_exit_code_that_claude_codes_hooks_captured_says_nothing():
    hooked = {"methods": ["hook"], "exitCode": 1}
    assert of(event("command", 1, **hooked)).command_fail_rate == 0
    as_object = {"integration": CLAUDE, "channel": "x"}
    assert of(event("command", 1, source=as_object, **hooked)).command_fail_rate == 0
    assert of(event("command", 1, source=CODEX, **hooked)).command_fail_rate == BILLION
    assert of(event("command", 1, methods=["transcript-jsonl"], exitCode=1)).command_fail_rate == BILLION


def test_a_command_that_the_editor_reports_again_counts_once():
    result = of(
        event("command", 1, source=TERMINAL, command="npm test", exitCode=0),
        event("command", 1.1, source=EDITOR, command="npm test", exitCode=1),
        event("file_create", 2, source=EDITOR, path="a.py", attribution="likely_human"),
    )
    assert (result.command_count, result.command_fail_rate, result.test_run_count) == (1, 0, 1)
    assert (result.file_change_count, result.manual_edit_ratio) == (1, BILLION)
    assert result.tests_passed is True


def test_the_editors_changes_do_not_count_beside_those_of_others():
    result = of(
        event("file_diff", 2, path="a.py", attribution="likely_ai"),
        event("file_create", 1, source=EDITOR, path="b.py", attribution="likely_human"),
        event("command", 3, source=EDITOR, command="pytest"),
    )
    assert (result.file_change_count, result.unique_files_touched, result.manual_edit_ratio) == (1, 1, 0)
    assert result.first_change_latency_ms == 1_000
    assert (result.command_count, result.verify_intensity) == (1, BILLION)


def test_verifications_are_test_runs_build_runs_and_verifying_commands_per_change():
    result = of(
        event("test_run", 1),
        event("build_run", 2),
        event("command", 3, command="npm run lint && npm test && npm run build"),
        event("command", 4, command="ls"),
        event("command", 5, command=["npm", "test"]),
        event("command", 6, command="go vet ./..."),
        *(event("file_diff", 10 + n) for n in range(3)),
    )
    assert result.verify_intensity == 1_333_333_333
    assert result.test_run_count == 2


def test_without_a_change_there_is_no_intensity():
    assert of(event("test_run", 1), event("command", 2, command="pytest")).verify_intensity == 0


def test_episodes_are_unbroken_runs_of_failures():
    result = of(
        event("command", 1, exitCode=1),
        event("command", 2, exitCode=2),
        event("command", 3),
        event("prompt", 4),
        event("test_run", 5, passed=3, failed=1),
        event("test_run", 6, passed=1),
        event("command", 7, exitCode=0),
        event("test_run", 8, passed=0, failed=2),
        event("test_run", 9, passed=0, failed=0),
        event("command", 10, source=EDITOR, exitCode=1),
        event("command", 11, exitCode=1),
    )
    assert result.error_episodes == 3


# Changes


def test_the_manual_ratio_and_the_share_of_ai_are_of_the_changes_with_an_attribution():
    result = of(
        event("file_diff", 1, attribution="likely_human"),
        event("file_create", 2, attribution="ai_revised_by_human"),
        event("file_delete", 3, attribution="likely_ai"),
        event("file_diff", 4, attribution="likely_ai"),
        event("file_diff", 5, attribution="likely_ai"),
        event("file_diff", 6, attribution="mixed"),
        event("file_diff", 7, attribution="somebody"),
        event("file_diff", 8),
        event("prompt", 9, attribution="likely_human"),
    )
    assert result.file_change_count == 8
    assert result.manual_edit_ratio == 333_333_333
    assert result.ai_attribution_permille == 500


@pytest.mark.parametrize(
    ("ai", "all_of_them", "permille"), [(1, 3, 333), (2, 3, 667), (1, 16, 63), (0, 4, 0)]
)
def test_the_share_of_ai_has_one_decimal_half_up(ai, all_of_them, permille):
    changes = [
        event("file_diff", n, attribution="likely_ai" if n < ai else "mixed") for n in range(all_of_them)
    ]
    assert derive(changes).ai_attribution_permille == permille


def test_files_touched_are_distinct_strings():
    paths = ["a", "b", "a", "\0", "\ud800", "", 1, None, ["a"]]
    assert of(*(event("file_diff", n, path=path) for n, path in enumerate(paths))).unique_files_touched == 5


def test_prompts_and_decisions_are_counted():
    result = of(event("prompt", 1), event("prompt", 2, source=EDITOR), event("decision_event", 3))
    assert (result.prompt_count, result.decision_count) == (2, 1)


# The test result


def test_a_submitted_result_goes_before_everything():
    run = event("test_run", 1, passed=1, failed=0)
    assert of(run, test_result=(10, 1)).tests_passed is False
    assert of(run, test_result=(0, 0)).tests_passed is False
    assert of(test_result=(1, 0)).tests_passed is True


def test_then_the_last_test_run_with_its_counts():
    passing, failing = {"passed": 5, "failed": 0}, {"passed": 5, "failed": 1}
    command = event("command", 9, command="pytest", exitCode=1)
    assert of(event("test_run", 2, **passing), event("test_run", 1, **failing), command).tests_passed is True
    assert of(event("test_run", 1, **passing), event("test_run", 2, **failing), command).tests_passed is False
    assert of(event("test_run", 1, **failing), event("test_run", 2, passed=5)).tests_passed is False
    assert of(event("test_run", 1, passed=0, failed=0)).tests_passed is False


def test_then_the_last_test_command_with_a_known_exit_code():
    result = of(
        event("command", 1, command="pytest", exitCode=0),
        event("command", 2, command="pytest"),
        event("command", 3, command="npm run lint", exitCode=1),
        event("command", 4, command="pytest", exitCode=1, methods=["hook"]),
        event("test_run", 5, passed=True, failed=0),
    )
    assert result.tests_passed is True
    assert of(event("command", 1, command="pytest", exitCode=1)).tests_passed is False
    assert of(event("command", 1, command="ls", exitCode=0)).tests_passed is None


# Tools


def test_tools_are_counted_by_their_announcements_where_a_source_announces_any():
    result = of(
        event("tool_intent", 1, toolName="Bash"),
        event("tool_use", 2, toolName="Bash"),
        event("tool_intent", 3, toolName="Bash"),
        event("mcp_call", 4, tool="search"),
        event("tool_intent", 5, toolName=["Edit"]),
        event("tool_use", 6, source=CODEX, toolName="view"),
        event("mcp_call", 7, source=CODEX, tool="search"),
        event("mcp_call", 8, source={"emitter": "x", "channel": "y"}, tool="search"),
        event("tool_call", 9, source="cursor", tool="other"),
    )
    assert result.tool_usage == {"Bash": 2, "search": 2, "view": 1}


def test_a_tools_name_can_always_be_stored():
    names = of(event("tool_intent", 1, toolName="a\0b\ud800" + "x" * 1000)).tool_usage
    assert names == {"a\ufffdb\ufffd" + "x" * 196: 1}


# Tokens and cost

PRICES = [
    {
        "model": "claude-x",
        "input": "3",
        "output": "15",
        "cacheRead": "0.30",
        "cacheWrite5m": "3.75",
        "cacheWrite1h": "6",
    },
    {"model": "claude-x", "from": "1970-01-02", "input": "1", "output": "5"},
    {"model": "gpt-x", "input": "1.25", "output": "10", "cacheRead": "0.125"},
]
DAY = 86_400


def response(seconds, /, **data):
    return event("ai_response", seconds, **data)


def test_the_reported_cost_counts_exactly():
    result = of(
        response(1, totalCost=1.8e-05, inputTokens=7), response(2, totalCost=0.1), response(3, totalCost=0.2)
    )
    assert result.total_cost_nano_usd == 300_018_000
    assert result.tokens == {"unknown": {"input": 7, "output": 0, "cacheRead": 0, "cacheWrite": 0}}
    assert of(response(1, totalCost=1)).total_cost_nano_usd == BILLION
    assert of(response(1, totalCost=0, inputTokens=1)).total_cost_nano_usd == 0


def test_a_cost_is_rounded_once_from_the_exact_sum():
    assert of(response(1, totalCost=5e-10)).total_cost_nano_usd == 1
    assert of(response(1, totalCost=4e-10), response(2, totalCost=4e-10)).total_cost_nano_usd == 1
    assert of(response(1, totalCost=4e-10)).total_cost_nano_usd == 0


def test_tokens_without_a_cost_are_priced_by_model():
    result = of(
        response(1, model="claude-x-20250929", inputTokens=1000, outputTokens=100),
        event(
            "subagent_usage",
            2,
            model="claude-x",
            cacheReadTokens=1000,
            cacheWriteTokens=300,
            cacheWrite1hTokens=100,
        ),
        prices=PRICES,
    )
    # 1000 * 3 + 100 * 15 + 1000 * 0.30 + 200 * 3.75 + 100 * 6, in millionths of a dollar
    assert result.total_cost_nano_usd == 6_150_000
    assert result.tokens == {
        "claude-x": {"input": 0, "output": 0, "cacheRead": 1000, "cacheWrite": 300},
        "claude-x-20250929": {"input": 1000, "output": 100, "cacheRead": 0, "cacheWrite": 0},
    }


def test_a_price_holds_from_its_day_on():
    assert of(response(DAY - 1, model="claude-x", inputTokens=1), prices=PRICES).total_cost_nano_usd == 3_000
    assert of(response(DAY, model="claude-x", inputTokens=1), prices=PRICES).total_cost_nano_usd == 1_000
    only_later = PRICES[1:2]
    assert (
        of(response(DAY - 1, model="claude-x", inputTokens=1), prices=only_later).total_cost_nano_usd is None
    )


@pytest.mark.parametrize("model", ["claude-x-2", "claude", "claude-xx", None, 5])
def test_a_used_model_without_a_price_makes_the_total_unknown(model):
    known = response(1, model="claude-x", inputTokens=1)
    assert of(known, response(2, model=model, inputTokens=1), prices=PRICES).total_cost_nano_usd is None
    assert of(known, response(2, model=model, inputTokens=0), prices=PRICES).total_cost_nano_usd == 3_000
    assert of(known).total_cost_nano_usd is None


def test_tokens_of_a_sort_that_has_no_price_make_the_total_unknown():
    cached = response(DAY, model="claude-x", cacheReadTokens=1)
    assert of(cached, prices=PRICES).total_cost_nano_usd is None


def test_responses_that_report_no_use_have_no_cost():
    assert of(response(1, lastAssistantMessage="hello"), prices=PRICES).total_cost_nano_usd is None


@pytest.mark.parametrize("count", [-1, 1.0, True, "1", None, [1], 10**30])
def test_what_is_no_count_is_no_use(count):
    result = of(response(1, model="claude-x", inputTokens=count), prices=PRICES)
    assert (result.tokens, result.total_cost_nano_usd) == ({}, None)


@pytest.mark.parametrize("cost", [-1, True, "1", None, float("nan"), float("inf"), 1e300, 10**400])
def test_what_is_no_amount_is_no_reported_cost(cost):
    result = of(response(1, model="claude-x", inputTokens=1, totalCost=cost), prices=PRICES)
    assert result.total_cost_nano_usd == 3_000


def codex(kind, seconds, /, **data):
    return event(kind, seconds, source=CODEX, **data)


def totals(seconds, /, *, input, output, cached=0, **data):
    return codex(
        "ai_response", seconds, inputTokens=input, outputTokens=output, cacheReadTokens=cached, **data
    )


def test_codex_reports_running_totals_and_counts_what_it_cached_as_input():
    result = of(
        codex("session_start", 1, ideSessionId="a", model="gpt-x"),
        totals(2, input=1000, output=10, cached=800),
        totals(3, input=3000, output=30, cached=2000),
        prices=PRICES,
    )
    assert result.tokens == {"gpt-x": {"input": 3000, "output": 30, "cacheRead": 2000, "cacheWrite": 0}}
    # (3000 - 2000) * 1.25 + 2000 * 0.125 + 30 * 10, in millionths of a dollar
    assert result.total_cost_nano_usd == 1_800_000


def test_each_codex_session_counts_from_its_own_beginning():
    result = of(
        codex("session_start", 1, ideSessionId="a", model="gpt-x"),
        totals(2, input=100, output=0),
        codex("session_start", 3, ideSessionId="b", model="gpt-y"),
        totals(4, input=500, output=0),
        codex("session_start", 5, ideSessionId="a"),
        totals(6, input=130, output=0),
        codex("session_start", 7),
        totals(8, input=1000, output=0),
        codex("session_start", 9),
        totals(10, input=2000, output=0),
    )
    assert {model: counts["input"] for model, counts in result.tokens.items()} == {
        "gpt-x": 130,
        "gpt-y": 500,
        "unknown": 3000,
    }


def test_a_codex_counter_that_fell_began_anew():
    result = of(
        totals(1, input=100, output=50), totals(2, input=30, output=60), totals(3, input=40, output=60)
    )
    assert result.tokens["unknown"] == {"input": 140, "output": 110, "cacheRead": 0, "cacheWrite": 0}


def test_a_codex_response_that_names_its_session_belongs_there():
    result = of(
        codex("session_start", 1, ideSessionId="a", model="gpt-x"),
        codex("session_start", 2, ideSessionId="b", model="gpt-y"),
        totals(3, input=100, output=0, ideSessionId="a"),
        totals(4, input=10, output=0),
        totals(5, input=150, output=0, meta={"ideSessionId": "a"}),
    )
    assert {model: counts["input"] for model, counts in result.tokens.items()} == {"gpt-x": 150, "gpt-y": 10}


def test_the_price_table_is_well_formed_and_says_where_it_was_seen():
    entries = yaml.safe_load((ROOT / "data" / "pricing.yaml").read_text(encoding="utf-8"))
    kinds = {"input", "output", "cacheRead", "cacheWrite5m", "cacheWrite1h"}
    assert len({(entry["model"], entry.get("from")) for entry in entries}) == len(entries)
    for entry in entries:
        assert entry["seen"]
        assert (
            {"model", "input", "output", "cacheRead", "seen"}
            <= set(entry)
            <= kinds | {"model", "from", "seen"}
        )
        assert all(isinstance(entry[name], str) for name in entry)
        used = response(1, model=entry["model"], inputTokens=1, outputTokens=1)
        assert of(used, prices=entries).total_cost_nano_usd


# Whatever arrives, in whatever order

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=())),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=5,
)
KINDS = st.sampled_from(
    [
        *("prompt", "command", "file_diff", "file_create", "file_delete", "test_run", "build_run"),
        *("decision_event", "tool_intent", "tool_use", "mcp_call", "ai_response", "subagent_usage"),
        *("session_start", "editor_focus"),
    ]
)
NUMBERS = st.integers(-1, 50) | st.booleans() | st.just(0.5)
NAMES = st.sampled_from(["a", "b", "claude-x", "gpt-x"])
DATA = st.fixed_dictionaries(
    {},
    optional={
        "command": st.sampled_from(["npm test", "ls", "make lint"]),
        "exitCode": NUMBERS,
        "passed": NUMBERS,
        "failed": NUMBERS,
        "path": NAMES,
        "toolName": NAMES,
        "tool": NAMES,
        "model": NAMES,
        "ideSessionId": NAMES,
        "inputTokens": NUMBERS,
        "cacheReadTokens": NUMBERS,
        "totalCost": NUMBERS,
    },
)
SOURCES = st.sampled_from([CLAUDE, CODEX, TERMINAL, EDITOR, None])
ATTRIBUTIONS = st.sampled_from(["likely_ai", "likely_human", "mixed", "ai_revised_by_human", None])
METHODS = st.sampled_from([["hook"], ["transcript-jsonl"], None])
PROVENANCE = st.fixed_dictionaries({}, optional={"attribution": ATTRIBUTIONS, "methods": METHODS})
ENVELOPES = st.fixed_dictionaries({"kind": KINDS, "source": SOURCES, "data": DATA, "provenance": PROVENANCE})


@st.composite
def timelines(draw):
    """Events with ids of their own and times that often tie, twice: in one order and in another."""
    envelopes = draw(st.lists(ENVELOPES, max_size=12))
    times = draw(st.lists(st.integers(0, 3), min_size=len(envelopes), max_size=len(envelopes)))
    timeline = [
        (time, {"id": f"{number:02}", **envelope})
        for number, (time, envelope) in enumerate(zip(times, envelopes, strict=True))
    ]
    return timeline, draw(st.permutations(timeline))


@given(timelines())
def test_the_order_of_arrival_does_not_matter(orders):
    one, another = orders
    assert derive(one, prices=PRICES) == derive(another, prices=PRICES)


@given(
    st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "id": JSON,
                "kind": KINDS | JSON,
                "source": SOURCES | JSON,
                "provenance": PROVENANCE | JSON,
                "data": st.dictionaries(st.sampled_from(["command", "path", "toolName", "model"]), JSON)
                | JSON,
            },
        )
        | JSON,
        max_size=6,
    )
)
def test_whatever_a_client_sends_there_are_metrics_that_can_be_stored(envelopes):
    result = derive([(time, envelope) for time, envelope in enumerate(envelopes)])
    text = json.dumps(dataclasses.asdict(result), ensure_ascii=False, allow_nan=False)
    assert "\\u0000" not in text
    text.encode()
    assert_integers_only(dataclasses.asdict(result))


def assert_integers_only(values):
    for value in values.values():
        if isinstance(value, dict):
            assert_integers_only(value)
        else:
            assert value is None or isinstance(value, int)


def test_contents_are_not_kept_while_a_timeline_streams_by():
    def stream():
        for number in range(50):
            yield event("file_diff", number, id=str(number), path="p" * 2**20, content="c" * 2**20)

    tracemalloc.start()
    try:
        derive(stream())
        assert tracemalloc.get_traced_memory()[1] < 16 * 2**20
    finally:
        tracemalloc.stop()


# How they are shown


def test_a_sessions_answer_shows_all_the_names_side_by_side():
    row = {
        **dataclasses.asdict(of()),
        "duration_ms": 4_320_000,
        "prompt_count": 38,
        "command_fail_rate": 142_500_000,
        "verify_intensity": 1_333_499_999,
        "manual_edit_ratio": 500_000,
        "tests_passed": True,
        "tool_usage": {"Bash": 2},
        "total_cost_nano_usd": 18_000,
        "ai_attribution_permille": 667,
    }
    assert shown(row) == {
        "durationMs": 4_320_000,
        "promptCount": 38,
        "commandFailRate": 0.143,
        "verifyIntensity": 1.333,
        "manualEditRatio": 0.001,
        "firstChangeLatencyMs": None,
        "testsPassed": True,
        "commandCount": 0,
        "fileChangeCount": 0,
        "uniqueFilesTouched": 0,
        "testRunCount": 0,
        "decisionCount": 0,
        "errorEpisodes": 0,
        "toolUsage": {"Bash": 2},
        "tokens": {},
        "totalCostUsd": 1.8e-05,
        "aiAttributionPct": 66.7,
    }


def test_nothing_derived_is_left_unshown_but_the_version_and_the_count_of_events():
    row = dataclasses.asdict(of())
    needed = {name for name in row if not _can_show({key: row[key] for key in row if key != name})}
    assert set(row) - needed == {"version", "event_count"}


def _can_show(row):
    try:
        return bool(shown(row))
    except KeyError:
        return False
