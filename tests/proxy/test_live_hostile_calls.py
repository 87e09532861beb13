"""Calls with short histories that expand to long events, or with large bodies, use little memory and time."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from rules.events.recorded_events import MAX_EVENT_BYTES
from tests.proxy.live_calls import calling, proxy_service, start_recorded_session
from tests.proxy.upstream import MESSAGE, MESSAGES, RESPONSES, documents
from tests.rules.agents import messages, responses_items

CALLS = 20
MAX_MIB = 300
# After the calls have ended.
MAX_KEPT_MIB = 200
MAX_SECONDS = 60
CODEX_RESPONSE = {"object": "response", "id": "resp_1", "model": "gpt-5", "output": [], "usage": {}}
CLAUDE_CODE = {"User_Agent": "claude-cli/2.1.197 (external, cli)"}
CODEX = {"User_Agent": "codex_cli_rs/0.169.0"}
OPENCODE = {"User_Agent": "opencode/1.18.33"}
BODY = {"model": "claude-haiku-4-5", "max_tokens": 900, "tools": messages.TOOLS}
PATCH = "*** Begin Patch\n*** Add File: a\n" + "+\n" * 100_000 + "*** End Patch"
MANY_FILES = "*** Begin Patch\n" + "*** Add File: a\n" * 60 + "*** End Patch"


UPDATE = ["*** Update File: f", "@@", "-a", "+b"]
LONG_LINE = "x" * 100_000
LONG_FILE = f"{LONG_LINE}\na\n{LONG_LINE}\n"


@pytest.fixture
def service(tmp_path):
    settings = {"WEB_THREADS": "60", "PROXY_STREAMS": str(CALLS), "PROXY_STREAMS_PER_KEY": str(CALLS)}
    with proxy_service(tmp_path, f"sqlite:///{tmp_path}/proofstone.db", **settings) as service:
        yield service


@pytest.fixture
def key(service):
    return start_recorded_session(service)


def codex(*items):
    user = responses_items.user
    body = {"model": "gpt-5", "tools": responses_items.TOOLS, "input": [user("Go"), *items, user("Go on")]}
    return RESPONSES, CODEX_RESPONSE, body


def script(value, use, *before):
    """Call a code mode script that defines `p`, uses it, and runs to completion."""
    source = f"const p = {json.dumps(value)};\n{use}"
    output = 'Script completed\nWall time 0.1 seconds\nOutput:\n{"exit_code":0,"output":""}'
    call = {"type": "custom_tool_call", "call_id": "CALL", "name": "exec", "input": source}
    return codex(*before, call, {"type": "custom_tool_call_output", "call_id": "CALL", "output": output})


def read_file():
    read = responses_items.call("CALL-read", "exec_command", cmd="cat f")
    return read, responses_items.command_result("CALL-read", LONG_FILE, 0)


def patch_with_many_changes_of_a_file():
    call = responses_items.patch("CALL", *UPDATE * 900)
    return codex(*read_file(), call, responses_items.patch_result("CALL", "M f"))


def opencode_patch_with_many_changes_of_a_file():
    patch = responses_items.patch("CALL", *UPDATE * 900)["input"]
    history = [
        messages.user("Go"),
        messages.assistant(messages.call("CALL-write", "write", filePath="f", content=LONG_FILE)),
        messages.user(messages.result("CALL-write", "Wrote file successfully.")),
        messages.assistant(messages.call("CALL", "apply_patch", patchText=patch)),
        messages.user(messages.result("CALL", "Success. Updated the following files:\nM f"), "Go on"),
    ]
    return MESSAGES, MESSAGE, BODY | {"messages": history}


def patch_of_many_files():
    call = responses_items.patch("CALL", *["*** Add File: a"] * 60_000)
    return codex(call, responses_items.patch_result("CALL", "A a"))


def edits_of_a_long_line():
    write = messages.call("CALL", "Write", file_path="/shop/a", content="a" * 1_000_000)
    edits = [
        messages.call(
            f"CALL-{n}", "Edit", file_path="/shop/a", old_string=old, new_string=new, replace_all=True
        )
        for n, (old, new) in enumerate([("a", "b"), ("b", "a")] * 100)
    ]
    history = [
        *(messages.user("Go"), messages.assistant(write)),
        *(messages.user(messages.result("CALL", "File created successfully")), messages.assistant(*edits)),
        messages.user(*(messages.result(edit["id"], "updated") for edit in edits), "Go on"),
    ]
    return MESSAGES, MESSAGE, BODY | {"messages": history}


HOSTILE = {
    "a repeated patch": script(PATCH, "await tools.apply_patch(p);\n" * 1_000),
    "a repeated word": script("x" * 250_000, f"await tools.exec_command({{cmd: [{'p,' * 4_000}]}});"),
    "a word repeated up to the limit": script(
        "x" * 250_000, "await tools.exec_command({cmd: [p, p, p, p]});"
    ),
    "patches of many files": script(MANY_FILES, "await tools.apply_patch(p);\n" * 1_000),
    "a patch of many files": patch_of_many_files(),
    "edits of a long line": edits_of_a_long_line(),
    "a script with many changes of a file": script(
        "\n".join(["*** Begin Patch", *UPDATE, "*** End Patch"]),
        "await tools.apply_patch(p);\n" * 900,
        *read_file(),
    ),
    "a patch with many changes of a file": patch_with_many_changes_of_a_file(),
    "an opencode patch with many changes of a file": opencode_patch_with_many_changes_of_a_file(),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_simultaneous_hostile_calls_use_little_memory_and_time(service, key, name):
    path, document, body = HOSTILE[name]
    service.upstream.respond = documents(200, document)

    def send(number):
        # The same call in another session would be recognized as part of a fork.
        text = json.dumps(body).replace("CALL", f"call_{number}")
        agent = CODEX if path == RESPONSES else OPENCODE if "opencode" in name else CLAUDE_CODE
        headers = agent | {"Session_Id": f"agent-{number}", "X_Claude_Code_Session_Id": f"agent-{number}"}
        while True:
            with calling(service, key, path, text, **headers) as response:
                response.read()
            # A call that waits too long for a slot is rejected. Clients send it again.
            if response.status not in (503, 529) or time.monotonic() - start > MAX_SECONDS:
                return response.status

    start = time.monotonic()
    with ThreadPoolExecutor(CALLS) as pool:
        assert list(pool.map(send, range(CALLS))) == [200] * CALLS
    assert time.monotonic() - start < MAX_SECONDS
    assert service.peak_mib() < MAX_MIB
    assert service.execute("select count(*) from events where kind = 'prompt'") == [(CALLS,)]
    ((largest,),) = service.execute("select max(size) from events")
    assert largest <= MAX_EVENT_BYTES


@pytest.mark.parametrize("sizes", [[28_000_000], [100_000] * 280], ids=["one text", "many texts"])
def test_memory_is_free_again_after_simultaneous_large_calls(service, key, sizes):
    service.upstream.respond = documents(200, MESSAGE)

    def send(number):
        texts = [
            {"type": "text", "text": f"{number} {index} ".ljust(size, "x")}
            for index, size in enumerate(sizes)
        ]
        text = json.dumps(BODY | {"system": texts, "messages": [messages.user("Go")]})
        with calling(
            service, key, MESSAGES, text, X_Claude_Code_Session_Id=f"agent-{number}", **CLAUDE_CODE
        ) as response:
            response.read()
            return response.status

    with ThreadPoolExecutor(CALLS) as pool:
        # A call that waits too long for a slot is rejected.
        assert {200} <= set(pool.map(send, range(CALLS))) <= {200, 529}
    assert service.resident_mib() < MAX_KEPT_MIB
