"""A session's metrics, as defined in docs/metrics.md."""

import dataclasses
import json
import tracemalloc
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.metrics import commands, derivation
from rules.metrics.derivation import to_response
from rules.metrics.usage import price_table
from rules.timestamps import parse_timestamp_ns

PRICING = Path(__file__).parents[3] / "data" / "pricing.yaml"
BILLION = 10**9
CLAUDE, CODEX = "claude-code", "codex"
PROXY = {"channel": "proxy", "tool": CODEX}
EDITOR = {"channel": "ide-extension", "integration": "vscode", "emitter": "promptster-vscode"}


def event(kind, seconds=0, /, *, id=None, source=CLAUDE, attribution=None, methods=(), **data):
    """Build an event of a timeline, `seconds` after the epoch."""
    envelope = {"kind": kind, "source": source, "data": data}
    envelope["id"] = id or f"{kind}-{seconds}-{json.dumps(data)}"
    envelope["provenance"] = {"attribution": attribution, "methods": list(methods)}
    return int(seconds * 10**9), envelope


def derive(*timeline, test_result=None, prices=()):
    return derivation.derive(timeline, test_result, price_table(prices))


def test_sessions_without_events_have_null_times_and_zero_counts():
    null = dict.fromkeys(("duration_ms", "first_change_latency_ms", "tests_passed", "total_cost_nano_usd"))
    null |= {"ai_attribution_permille": None}
    others = {"version": derivation.VERSION, "tool_usage": {}, "tokens": {}}
    derived = dataclasses.asdict(derive())
    assert derived == dict.fromkeys(derived, 0) | null | others


@pytest.mark.parametrize(
    ("offsets", "duration_ms"),
    [([0], None), ([0, 0], 0), ([499_999, 0], 0), ([0, 500_000], 1), ([0, 5, 1_499_999], 1), ([1_500_000, 0], 2)],
)  # fmt: skip
def test_the_duration_is_rounded_once(offsets, duration_ms):
    start = parse_timestamp_ns("2026-01-02T03:04:05.123456789Z")
    timeline = [(start + offset, {"id": str(n), "kind": "unknown"}) for n, offset in enumerate(offsets)]
    assert derive(*timeline).duration_ms == duration_ms


def test_the_first_change_latency_starts_at_the_first_event():
    changes = event("file_diff", 9), event("file_create", 7.5)
    assert derive(*changes, event("session_start", 1)).first_change_latency_ms == 6_500


def test_ties_are_ordered_by_id():
    passed = event("test_run", 1, id="b", passed=1, failed=0)
    failed = event("test_run", 1, id="a", passed=0, failed=1)
    assert derive(passed, failed).tests_passed is derive(failed, passed).tests_passed is True


def test_the_fail_rate_uses_commands_with_a_known_exit_code():
    commands = [event("command", exitCode=code) for code in (0, 1, -1, True, 1.0, "1", None)]
    # Claude Code's hooks always report 0.
    hooks = [
        event("command", exitCode=1, source=source, methods=["hook"])
        for source in (CLAUDE, {"channel": CLAUDE})
    ]
    result = derive(*commands, *hooks, event("command"))
    assert (result.command_count, result.command_fail_rate) == (10, 666_666_667)
    others = [
        event("command", exitCode=1, source=CODEX, methods=["hook"]),
        event("command", exitCode=1, methods=["x"]),
    ]
    assert derive(*others).command_fail_rate == BILLION


@pytest.mark.parametrize(
    ("codes", "source", "fail_rate", "tests_passed"),
    [
        ([1, None, None], PROXY, None, None),
        ([None], PROXY, None, None),
        ([1, None], PROXY, BILLION, False),
        ([], PROXY, 0, None),
        ([1, None, None], CLAUDE, BILLION, False),  # from the candidate's client
    ],
)
def test_most_exit_codes_of_a_recorded_session_must_be_known(codes, source, fail_rate, tests_passed):
    commands = [
        event("command", at, source=source, command="make test", exitCode=code)
        for at, code in enumerate(codes)
    ]
    result = derive(*commands)
    assert (result.command_fail_rate, result.tests_passed) == (fail_rate, tests_passed)
    assert (result.command_count, result.test_run_count) == (len(codes), len(codes))
    assert derive(*commands, event("test_run", 9, source=source, passed=1, failed=0)).tests_passed is True
    assert derive(*commands, test_result=(1, 0)).tests_passed is True


def test_editor_duplicates_are_not_counted():
    command, editor_command = event("command", 1, exitCode=0), event("command", 2, source=EDITOR, exitCode=1)
    change = event("file_diff", 3, path="a", attribution="likely_ai")
    editor_change = event("file_create", 2, source=EDITOR, path="b", attribution="likely_human")
    result = derive(command, editor_command, editor_change)
    assert (result.command_count, result.command_fail_rate) == (1, 0)
    assert (result.file_change_count, result.manual_edit_ratio) == (1, BILLION)
    result = derive(change, editor_change, editor_command)
    assert (result.command_count, result.command_fail_rate) == (1, BILLION)
    assert (result.file_change_count, result.manual_edit_ratio) == (1, 0)
    assert result.first_change_latency_ms == 1_000


def test_verify_intensity_is_verifications_per_change():
    commands = ["npm run lint && npm test && npm run build", "ls", ["npm", "test"], "go vet ./..."]
    verifications = [event("command", at, command=command) for at, command in enumerate(commands)]
    verifications += [event("test_run", 8), event("build_run", 9)]
    result = derive(*verifications, *(event("file_diff", 10 + n) for n in range(3)))
    assert (result.verify_intensity, result.test_run_count) == (1_333_333_333, 2)
    assert derive(*verifications).verify_intensity == 0


def test_commands_beyond_the_text_limit_are_not_classified(monkeypatch):
    monkeypatch.setattr(commands, "MAX_SESSION_CHARACTERS", 2 * len("npm test"))
    session = derive(*(event("command", at, command="npm test", exitCode=1) for at in range(3)))
    assert (session.command_count, session.test_run_count, session.error_episodes) == (3, 2, 1)


def test_error_episodes_are_unbroken_runs_of_failures():
    result = derive(
        event("command", 1, exitCode=1), event("command", 2, exitCode=2), event("command", 3), event("prompt", 4),
        event("test_run", 5, passed=3, failed=1), event("test_run", 6, passed=1), event("command", 7, exitCode=0),
        event("test_run", 8, passed=0, failed=2), event("test_run", 9, passed=0, failed=0),
        event("command", 10, source=EDITOR, exitCode=1), event("command", 11, exitCode=1),
    )  # fmt: skip
    assert result.error_episodes == 3


def test_the_manual_ratio_and_the_ai_share_use_attributed_changes():
    attributions = ["likely_human", "ai_revised_by_human", *["likely_ai"] * 3, "mixed", "unknown", None]
    kinds = ["file_create", "file_delete", *["file_diff"] * 6]
    pairs = enumerate(zip(kinds, attributions, strict=True))
    changes = [event(kind, number, attribution=attribution) for number, (kind, attribution) in pairs]
    result = derive(*changes, event("prompt", 9, attribution="likely_human"))
    assert (result.file_change_count, result.manual_edit_ratio) == (8, 333_333_333)
    assert result.ai_attribution_permille == 500


@pytest.mark.parametrize(("ai", "total", "permille"), [(1, 3, 333), (2, 3, 667), (1, 16, 63), (0, 4, 0)])
def test_the_ai_share_is_rounded_half_up_to_one_decimal(ai, total, permille):
    changes = [event("file_diff", n, attribution="likely_ai" if n < ai else "mixed") for n in range(total)]
    assert derive(*changes).ai_attribution_permille == permille


def test_prompts_decisions_and_distinct_paths_are_counted():
    paths = ["a", "b", "a", "\0", "\ud800", "", 1, None, ["a"]]
    others = event("prompt", 1), event("prompt", 2, source=EDITOR), event("decision_event", 3)
    result = derive(*others, *(event("file_diff", n, path=path) for n, path in enumerate(paths)))
    assert (result.prompt_count, result.decision_count, result.unique_files_touched) == (2, 1, 5)


def run(seconds, passed, failed):
    return event("test_run", seconds, passed=passed, failed=failed)


def pytest_command(seconds, exit_code, **fields):
    return event("command", seconds, command="pytest", exitCode=exit_code, **fields)


@pytest.mark.parametrize(("submitted", "passed"), [((10, 1), False), ((0, 0), False), ((1, 0), True)])
def test_submitted_result_takes_precedence(submitted, passed):
    assert derive(run(1, 5, 0), test_result=submitted).tests_passed is passed
    assert derive(run(1, 5, 1), test_result=submitted).tests_passed is passed


@pytest.mark.parametrize(
    ("events", "passed"),
    [
        # The last test run with both counts.
        ([run(2, 5, 0), run(1, 5, 1), pytest_command(9, 1)], True),
        ([run(1, 5, 0), run(2, 5, 1), pytest_command(9, 0)], False),
        ([run(1, 5, 1), event("test_run", 2, passed=5)], False),
        ([run(1, 0, 0)], False),
        # Else the last test command with a known exit code.
        ([pytest_command(1, 0), pytest_command(2, None), run(3, True, 0)], True),
        ([pytest_command(1, 0), event("command", 2, command="npm run lint", exitCode=1)], True),
        ([pytest_command(1, 0), pytest_command(2, 1, methods=["hook"])], True),
        ([pytest_command(1, 0), pytest_command(2, 1)], False),
        ([event("command", 1, command="ls", exitCode=0)], None),
    ],
)
def test_the_last_known_result_decides(events, passed):
    assert derive(*events).tests_passed is passed


def test_tools_are_counted_by_intents_if_their_source_sends_intents():
    result = derive(
        event("tool_intent", 1, toolName="Bash"), event("tool_use", 2, toolName="Bash"),
        event("tool_intent", 3, toolName="Bash"), event("mcp_call", 4, tool="search"),
        event("tool_intent", 5, toolName=["Edit"]), event("tool_use", 6, source=CODEX, toolName="view"),
        event("mcp_call", 7, source=CODEX, tool="search"), event("tool_call", 8, source="cursor", tool="other"),
        event("mcp_call", 9, source={"emitter": "x", "channel": "y"}, tool="search"),
        event("mcp_call", 10, source=CODEX, tool="a\0b\ud800" + "x" * 1000),
    )  # fmt: skip
    assert result.tool_usage == {"Bash": 2, "search": 2, "view": 1, "a\ufffdb\ufffd" + "x" * 196: 1}


def test_the_200_most_frequent_tools_are_listed():
    names = [f"tool {number:03}" for number in range(202)]
    calls = [event("tool_use", number, toolName=name) for number, name in enumerate(names + names[-1:] * 2)]
    # Of the tools with one call, the alphabetically last are not among the 200.
    expected = dict.fromkeys(names[:199], 1) | {"other": 2, "tool 201": 3}
    assert derive(*calls).tool_usage == derive(*reversed(calls)).tool_usage == expected
    assert derive(*calls[:200]).tool_usage == dict.fromkeys(names[:200], 1)
    # A tool can be named `other`.
    assert (
        derive(*calls, *(event("tool_use", at, toolName="other") for at in (300, 301))).tool_usage["other"]
        == 5
    )


# Tokens and cost

PRICES = [
    {"model": "claude-x", "from": "1970-01-02", "input": "1", "output": "5"},
    {"model": "claude-x", "input": "3", "output": "15", "cacheRead": "0.3", "cacheWrite5m": "4", "cacheWrite1h": "6"},
    {"model": "gpt-x", "input": "1.25", "output": "10", "cacheRead": "0.125"},
]  # fmt: skip
DAY = 86_400


def response(seconds, /, model="claude-x", **data):
    return event("ai_response", seconds, model=model, **data)


def cost(*events, prices=PRICES):
    return derive(*events, prices=prices).total_cost_nano_usd


@pytest.mark.parametrize(
    ("costs", "nano_usd"),
    # The exact sum is rounded once.
    [
        ([1.8e-05, 0.1, 0.2], 300_018_000), ([1], BILLION), ([0], 0), ([5e-10], 1), ([4e-10] * 2, 1), ([4e-10], 0),
    ],
)  # fmt: skip
def test_reported_costs_are_summed_exactly(costs, nano_usd):
    result = derive(*(response(n, None, totalCost=usd, inputTokens=7) for n, usd in enumerate(costs)))
    assert result.total_cost_nano_usd == nano_usd
    tokens = {"input": 7 * len(costs), "output": 0, "cacheRead": 0, "cacheWrite": 0}
    assert result.tokens == {"unknown": tokens}


def test_tokens_without_a_reported_cost_are_priced_by_model():
    cached = {"cacheReadTokens": 1000, "cacheWriteTokens": 300, "cacheWrite1hTokens": 100}
    plain = response(1, "claude-x-20250929", inputTokens=1000, outputTokens=100)
    result = derive(plain, event("subagent_usage", 2, model="claude-x", **cached), prices=PRICES)
    # 1000 * 3 + 100 * 15 + 1000 * 0.3 + 200 * 4 + 100 * 6, in millionths of a dollar
    assert result.total_cost_nano_usd == 6_200_000
    assert result.tokens == {
        "claude-x": {"input": 0, "output": 0, "cacheRead": 1000, "cacheWrite": 300},
        "claude-x-20250929": {"input": 1000, "output": 100, "cacheRead": 0, "cacheWrite": 0},
    }


def test_a_price_is_valid_from_its_date():
    before, after = (response(at, inputTokens=1) for at in (DAY - 1, DAY))
    assert (cost(before), cost(after)) == (3_000, 1_000)
    assert cost(before, prices=PRICES[:1]) is None


@pytest.mark.parametrize("model", ["claude-x-2", "claude", "claude-xx", None, 5])
def test_a_used_model_without_a_price_makes_the_cost_unknown(model):
    known = response(1, inputTokens=1)
    assert cost(known, response(2, model, inputTokens=1)) is None
    assert cost(known, response(2, model, inputTokens=0)) == 3_000
    assert cost(known, prices=()) is cost(response(DAY, cacheReadTokens=1)) is None


def test_cost_includes_models_that_are_not_listed():
    prices = [{"model": f"model {number:03}", "input": str(number), "output": "0"} for number in range(202)]
    responses = [response(at, entry["model"], inputTokens=1) for at, entry in enumerate(prices)]
    result = derive(*responses, response(300, "model 201", inputTokens=1), prices=prices)
    inputs = {model: counts["input"] for model, counts in result.tokens.items()}
    named = [entry["model"] for entry in prices[:199]]
    assert inputs == dict.fromkeys(named, 1) | {"model 201": 2, "other": 2}
    assert result.total_cost_nano_usd == (sum(range(202)) + 201) * 1000
    assert derive(*responses[:200], prices=prices).tokens.keys() == {entry["model"] for entry in prices[:200]}


@pytest.mark.parametrize("count", [-1, 1.0, True, "1", None, [1], 10**30])
def test_an_invalid_count_is_ignored(count):
    result = derive(response(1, inputTokens=count), prices=PRICES)
    assert (result.tokens, result.total_cost_nano_usd) == ({}, None)


@pytest.mark.parametrize("usd", [-1, True, "1", None, float("nan"), float("inf"), 1e300, 10**400])
def test_an_invalid_reported_cost_is_ignored(usd):
    assert cost(response(1, inputTokens=1, totalCost=usd)) == 3_000


def codex_session(seconds, /, session=None, **data):
    return event("session_start", seconds, source=CODEX, ideSessionId=session, **data)


def codex_total(seconds, input, output=0, cached=0, **data):
    counts = {"inputTokens": input, "outputTokens": output, "cacheReadTokens": cached}
    return event("ai_response", seconds, source=CODEX, **counts, **data)


def test_codex_totals_are_converted_to_usage():
    session = codex_session(1, "a", model="gpt-x")
    result = derive(session, codex_total(2, 1000, 10, 800), codex_total(3, 3000, 30, 2000), prices=PRICES)
    assert result.tokens == {"gpt-x": {"input": 3000, "output": 30, "cacheRead": 2000, "cacheWrite": 0}}
    # (3000 - 2000) * 1.25 + 2000 * 0.125 + 30 * 10, in millionths of a dollar
    assert result.total_cost_nano_usd == 1_800_000
    # The input is never negative.
    assert cost(codex_session(1, "a", model="gpt-x"), codex_total(2, 5, 0, 8)) == 1_000
    # A lower total was reset.
    result = derive(codex_total(1, 100, 50), codex_total(2, 30, 60), codex_total(3, 40, 60))
    assert result.tokens == {"unknown": {"input": 140, "output": 110, "cacheRead": 0, "cacheWrite": 0}}


def test_codex_totals_are_separate_per_session():
    result = derive(
        codex_session(1, "a", model="gpt-x"), codex_total(2, 100),
        codex_session(3, "b", model="gpt-y"), codex_total(4, 500),
        codex_session(5, "a"), codex_total(6, 130),
        codex_session(7), codex_total(8, 1000),
        codex_session(9), codex_total(10, 2000),
        # A response can name its session.
        codex_total(11, 550, ideSessionId="b"), codex_total(12, 150, meta={"ideSessionId": "a"}),
    )  # fmt: skip
    inputs = {model: counts["input"] for model, counts in result.tokens.items()}
    assert inputs == {"gpt-x": 150, "gpt-y": 550, "unknown": 3000}


def test_the_price_table_is_valid():
    entries = yaml.safe_load(PRICING.read_text(encoding="utf-8"))
    required = {"model", "input", "output", "seen"}
    optional = {"cacheRead", "cacheWrite5m", "cacheWrite1h", "context", "from"}
    assert len({(entry["model"], entry.get("from")) for entry in entries}) == len(entries)
    for entry in entries:
        assert required <= set(entry) <= required | optional
        assert all(isinstance(value, str) for value in entry.values())
        assert entry["seen"]
        assert cost(response(1, entry["model"], inputTokens=1, outputTokens=1), prices=entries)


TIED = [
    event("prompt"), event("command", command="npm test", exitCode=1), event("tool_intent", toolName="Bash"),
    event("command", command="npm test", exitCode=0), event("command", source=EDITOR, command="ls", exitCode=1),
    event("test_run", source=EDITOR, passed=1, failed=1), event("test_run", 1, passed=1, failed=0),
    event("file_diff", path="a", attribution="likely_ai"), event("file_create", 1, source=EDITOR, path="b"),
    event("tool_use", 1, toolName="Edit"), codex_session(0, "a", model="gpt-x"), codex_total(0, 100, 5),
    codex_session(1, "b", model="gpt-y"), codex_total(1, 70, 10),
    response(1, inputTokens=5, totalCost=0.25),
]  # fmt: skip


@settings(max_examples=30)
@given(st.permutations(TIED))
def test_the_input_order_does_not_matter(timeline):
    assert derive(*timeline, prices=PRICES) == derive(*TIED, prices=PRICES)


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=()))
)
JSON = SCALARS | st.lists(SCALARS, max_size=2) | st.dictionaries(st.text(), SCALARS, max_size=2)
NAMES = ["command", "exitCode", "passed", "failed", "path", "toolName", "tool", "model", "totalCost"]
FIELDS = {
    "id": JSON,
    "kind": st.sampled_from([envelope["kind"] for _, envelope in TIED]),
    "source": st.sampled_from([CLAUDE, CODEX, EDITOR]) | JSON,
    "provenance": st.dictionaries(st.sampled_from(["attribution", "methods"]), JSON) | JSON,
    "data": st.dictionaries(st.sampled_from(NAMES), JSON, max_size=3) | JSON,
}


@given(st.lists(st.fixed_dictionaries({}, optional=FIELDS) | JSON, max_size=4))
def test_any_input_yields_storable_metrics(envelopes):
    result = dataclasses.asdict(derive(*enumerate(envelopes)))
    text = json.dumps(result, ensure_ascii=False, allow_nan=False)
    assert "\\u0000" not in text
    text.encode()
    assert json.loads(text, parse_float=pytest.fail) == result


def test_event_contents_are_not_kept_in_memory():
    timeline = (event("file_diff", n, id=str(n), path="p" * 2**20, content="c" * 2**20) for n in range(50))
    tracemalloc.start()
    try:
        derivation.derive(timeline)
        assert tracemalloc.get_traced_memory()[1] < 16 * 2**20
    finally:
        tracemalloc.stop()


def test_the_response_contains_all_metrics():
    row = dataclasses.asdict(derive()) | {
        "duration_ms": 4_320_000, "prompt_count": 38, "command_fail_rate": 142_500_000,
        "verify_intensity": 1_333_499_999, "manual_edit_ratio": 500_000, "tests_passed": True,
        "tool_usage": {"Bash": 2}, "total_cost_nano_usd": 18_000, "ai_attribution_permille": 667,
    }  # fmt: skip
    zero = ("commandCount", "fileChangeCount", "uniqueFilesTouched", "testRunCount")
    assert to_response(row) == {
        **dict.fromkeys((*zero, "decisionCount", "errorEpisodes"), 0),
        "durationMs": 4_320_000, "promptCount": 38, "commandFailRate": 0.143, "verifyIntensity": 1.333,
        "manualEditRatio": 0.001, "firstChangeLatencyMs": None, "testsPassed": True, "toolUsage": {"Bash": 2},
        "tokens": {}, "totalCostUsd": 1.8e-05, "aiAttributionPct": 66.7,
    }  # fmt: skip
