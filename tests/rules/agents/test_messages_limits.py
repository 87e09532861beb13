"""Limits on the time it takes to read a request."""

import time
from collections.abc import Sequence

import pytest

from rules.agents.claude_code.user_messages import file_updates
from rules.agents.model_apis import openai_responses
from rules.agents.model_apis.texts import Text
from tests.rules.agents import responses_items
from tests.rules.agents.messages import USAGE, assistant, call, events, request, response, result, turns, user

LS = call("t1", "Bash", command="ls")


class Lazy(Sequence):
    """A sequence of messages that records which indexes were read."""

    def __init__(self, messages):
        self._messages = messages
        self.read = set()

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        number = range(len(self))[index]
        self.read.add(number)
        return self._messages[number]

    def __len__(self):
        return len(self._messages)


def long_conversation(length):
    messages = [user("start")]
    for number in range(length // 2):
        messages.append(assistant(call(f"t{number}", "Bash", command="ls")))
        messages.append(user(result(f"t{number}", "output " * 100)))
    return messages


def test_only_the_end_of_a_long_conversation_is_read():
    lazy = Lazy(long_conversation(5000))
    long_request = request(messages=lazy)
    long_request.latest_events()
    response("done").events(long_request, USAGE)
    assert len(lazy.read) < 10


def test_only_the_end_of_a_long_conversation_is_translated():
    run = [responses_items.call("c", "exec_command", cmd="ls"), responses_items.command_result("c")]
    lazy = Lazy([responses_items.context(), responses_items.user("Fix it."), *run * 2_500])
    body = {"input": lazy, "tools": []}
    latest = openai_responses.read_request(responses_items.HEADERS, body).latest_events()
    assert [event.kind for event in latest] == ["tool_intent", "command"]
    assert len(lazy.read) < 50


@pytest.mark.parametrize(("turns_between", "is_partial"), [(490, None), (5_000, True)])
def test_only_the_latest_turns_are_searched_for_a_file(turns_between, is_partial):
    edit = call("e", "Edit", file_path="/shop/a", old_string="two\n", new_string="2\n")
    read = assistant(call("r", "Read", file_path="/shop/a")), user(result("r", "1\tone\n2\ttwo\n3\t"))
    between = long_conversation(2 * turns_between)[1:]
    lazy = Lazy([user("start"), *read, *between, assistant(edit), user(result("e", "updated"))])
    latest = request(messages=lazy).latest_events()
    assert [(event.kind, event.data.get("isPartial")) for event in latest] == [
        ("tool_intent", None),
        ("file_diff", is_partial),
    ]
    assert len(lazy.read) <= 2 * 500 + 1


def test_a_conversation_is_read_in_linear_time():
    messages = long_conversation(4000)
    for number, edit in enumerate(_edits(500)):
        messages += [assistant(edit), user(result(f"e{number}", "updated"))]
        messages += [assistant("ok"), user("continue")]
    start = time.process_time()
    assert len(events(*messages)) > 6000
    assert time.process_time() - start < 3


@pytest.mark.parametrize(
    "opening",
    [
        "<system-reminder>",
        "<command-name><command-args>",
        "<bash-input>",
        "\nThe user sent a new message while you were working:\n",
        'Called the Read tool with the following input: {"file_path":"',
        "1\t\n2\t\n",
        "Note: ",
    ],
)
def test_text_is_read_in_linear_time(opening):
    messages = [user("a"), assistant(LS), user(result("t1", opening * 20_000), opening * 20_000)]
    edit = call("e", "Edit", file_path="/a", old_string="a", new_string="b")
    messages += [{"role": "system", "content": opening * 20_000}, assistant(edit), user(result("e", "ok"))]
    start = time.process_time()
    events(*messages)
    assert time.process_time() - start < 1


def test_calls_are_generic_after_the_time_limit():
    limited = request(*long_conversation(6))
    has_time = iter([True, False, False])
    limited.limit(lambda: next(has_time))
    kinds = [[event.kind for event in turn if event.kind != "tool_intent"] for turn in turns(limited)]
    assert kinds == [["command"], ["tool_use"], ["tool_use"], ["prompt"]]


def _edits(count):
    return [
        call(f"e{n}", "Edit", file_path="/shop/a", old_string=f"line {n} of", new_string=f"line {n} from")
        for n in range(count)
    ]


def test_the_time_limit_stops_many_edits_of_a_large_file():
    content = "\n".join(f"{number}\tline {number} of a long file" for number in range(1, 20_000))
    edits = _edits(400)
    messages = [user("a"), assistant(call("r", "Read", file_path="/shop/a")), user(result("r", content))]
    messages += [assistant(*edits), user(*(result(edit["id"], "updated") for edit in edits))]
    limited = request(*messages)
    end = time.thread_time() + 0.2
    limited.limit(lambda: time.thread_time() < end)
    assert sum(len(turn) for turn in turns(limited)) > 800
    assert time.thread_time() < end + 1


@pytest.mark.parametrize("count", [150, 30_000])
def test_a_call_with_many_edits_is_read_quickly(count):
    content = "\n".join(f"{number}\tline {number} of a long file" for number in range(1, 30_000))
    edits = [{"old_string": f"line {n} of", "new_string": f"line {n} from"} for n in range(count)]
    messages = [user("a"), assistant(call("r", "Read", file_path="/shop/a")), user(result("r", content))]
    messages += [assistant(call("e", "MultiEdit", file_path="/shop/a", edits=edits)), user(result("e", "ok"))]
    start = time.process_time()
    assert len(events(*messages)) < 200
    assert time.process_time() - start < 2


def test_long_changes_by_short_calls_become_generic_events():
    edits = [
        call(f"e{n}", "Edit", file_path="/shop/a", old_string=old, new_string=new, replace_all=True)
        for n, (old, new) in enumerate([("a", "b"), ("b", "a")] * 50)
    ]
    messages = [user("x"), assistant(call("w", "Write", file_path="/shop/a", content="a" * 500_000))]
    messages += [user(result("w", "File created successfully")), assistant(*edits)]
    messages += [user(*(result(edit["id"], "updated") for edit in edits))]
    limited = request(*messages)
    kinds = [event.kind for event in limited.latest_events() if event.kind != "tool_intent"]
    assert kinds == ["file_diff"] * 3 + ["tool_use"] * 97
    assert limited.is_limited


LONG_LINE = "x" * 100_000
LONG_FILE = "\n".join([LONG_LINE, "a", LONG_LINE]) + "\n"
UPDATE = ["*** Update File: f", "@@", "-a", "+b"]


def _patches(count):
    script = (
        f"const p = `{responses_items.patch('', *UPDATE)['input']}`;\n"
        + "await tools.apply_patch(p);\n" * count
    )
    return {"type": "custom_tool_call", "name": "exec", "input": script, "call_id": "p"}


@pytest.mark.parametrize(
    ("patch", "output", "kinds"),
    [
        (responses_items.patch("p", *UPDATE * 900), "Success. Updated the following files:\nM f", []),
        (_patches(900), "Script completed\nOutput:\n", ["tool_use"]),
    ],
    ids=["patch", "script"],
)
def test_a_call_that_changes_a_file_with_long_lines_many_times_is_cut(patch, output, kinds):
    cat = [
        responses_items.call("c", "exec_command", cmd="cat f"),
        responses_items.command_result("c", LONG_FILE, 0),
    ]
    patched = [patch, {"type": "custom_tool_call_output", "call_id": "p", "output": output}]
    limited = responses_items.request(responses_items.user("Go."), *cat, *patched)
    latest = [event for event in limited.latest_events() if event.identity == "p"]
    assert [event.kind for event in latest] == ["tool_intent", *kinds, *["file_diff"] * 11, "tool_use"]
    assert latest[0].data["input"] == patch["input"]
    assert limited.is_limited


def test_changes_at_unknown_positions_do_not_repeat_a_long_path():
    lines = ["*** Update File: " + "x" * 100_000, *["@@", "-a", "+b"] * 5_000]
    patch = [responses_items.patch("p", *lines), responses_items.patch_result("p")]
    start = time.process_time()
    latest = responses_items.request(responses_items.user("Go."), *patch).latest_events()
    assert time.process_time() - start < 1
    [change] = [event for event in latest if event.kind == "file_diff"]
    assert change.data["linesAdded"] == 5_000


def test_an_edit_that_makes_a_file_too_long_is_partial():
    edit = call("e", "Edit", file_path="/shop/a", old_string="a", new_string="b" * 5000, replace_all=True)
    messages = [user("x"), assistant(call("w", "Write", file_path="/shop/a", content="a" * 5000))]
    messages += [user(result("w", "File created successfully")), assistant(edit), user(result("e", "ok"))]
    [change] = [event for event in events(*messages) if event.kind == "file_diff"]
    assert change.data["isPartial"]
    assert len(change.data["diff"]) < 10_000


def test_many_waits_for_a_running_command_take_linear_time():
    count = 3_000
    waits = [responses_items.call(f"w{n}", "write_stdin", session_id=7, chars="") for n in range(count)]
    results = [responses_items.running_result(f"w{n}", 7, "a" * 3_000) for n in range(count - 1)]
    items = [responses_items.call("c", "exec_command", cmd="x"), responses_items.running_result("c", 7)]
    items += [*waits, *results, responses_items.command_result(f"w{count - 1}", "done", 0)]
    start = time.process_time()
    latest = responses_items.request(responses_items.user("Go."), *items).latest_events()
    assert time.process_time() - start < 1
    [end] = [event for event in latest if event.data.get("exitCode") == 0]
    assert len(end.data["stdout"]) > 3_000 * (count - 1)


def test_known_strings_are_cut_from_a_text_while_there_is_time():
    checks = iter([True, True, False, False])
    strings = [letter * 300 for letter in "abcd"]
    assert Text("user", "text", "".join(strings)).without(strings, lambda: next(checks)) == "".join(
        strings[2:]
    )


def test_many_notes_about_changed_files_are_read_in_linear_time():
    note = "Note: a.py was modified, either by the user or by a linter.\n"
    start = time.process_time()
    assert sum(1 for _ in file_updates(note * 30_000)) == 30_000
    assert time.process_time() - start < 2
