"""Checks before a request is forwarded: hosted tools, stored state, remote input, surcharges and JSON (R42)."""

import json

import pytest

from proxy.json_text import MAX_BRACKETS, MAX_CHILDREN
from tests.proxy.test_error_responses import BOTH, error_of
from tests.proxy.upstream import CHAT_COMPLETIONS, MESSAGES, RESPONSES

OWN = '{"name": "Bash", "input_schema": {"type": "object"}}'
OWN_FUNCTION = '{"type":"function","name":"exec"}'
WEB_SEARCH = '{"type": "web_search_20250305", "name": "web_search", "max_uses": 8}'
FILE = {"type": "input_file", "file_id": "file-1"}
CODEX_SEARCH = '{"type":"web_search","external_web_access":true}'


def user_message(part):
    return {"messages": [{"role": "user", "content": [part]}]}


@pytest.mark.parametrize(
    ("path", "sent", "forwarded"),
    [
        (MESSAGES, f'{{"tools": [{OWN} , {WEB_SEARCH}]}}', f'{{"tools": [{OWN}]}}'),
        (MESSAGES, f'{{"tools":[ {WEB_SEARCH},\n {OWN}], "a":1.0}}', f'{{"tools":[ {OWN}], "a":1.0}}'),
        (MESSAGES, f'{{"tools":[{WEB_SEARCH},{OWN},{WEB_SEARCH},{OWN}]}}', f'{{"tools":[{OWN},{OWN}]}}'),
        (MESSAGES, f'{{"to\\u006fls":[{WEB_SEARCH},{OWN}]}}', f'{{"to\\u006fls":[{OWN}]}}'),
        (RESPONSES, f'{{"tools":[{OWN_FUNCTION},{CODEX_SEARCH}]}}', f'{{"tools":[{OWN_FUNCTION}]}}'),
        (CHAT_COMPLETIONS, f'{{"tools":[{OWN_FUNCTION},{CODEX_SEARCH}]}}', f'{{"tools":[{OWN_FUNCTION}]}}'),
        (
            RESPONSES,
            f'{{"tools":[{{"type":"namespace","tools":[{CODEX_SEARCH},{OWN_FUNCTION}]}},{CODEX_SEARCH}]}}',
            f'{{"tools":[{{"type":"namespace","tools":[{OWN_FUNCTION}]}}]}}',
        ),
        (
            RESPONSES,
            f'{{"input":[{{"type":"additional_tools","tools":[{OWN_FUNCTION},{CODEX_SEARCH}]}},{{"role":"user"}}],'
            f'"tools":[{CODEX_SEARCH}]}}',
            f'{{"input":[{{"type":"additional_tools","tools":[{OWN_FUNCTION}]}},{{"role":"user"}}],"tools":[]}}',
        ),
    ],
)
def test_only_hosted_tools_are_removed(call, upstream, path, sent, forwarded):
    call(path, data=sent)
    (request,) = upstream.requests
    assert request.body.decode() == forwarded
    assert request.headers["Content-Length"] == str(len(forwarded))


def test_a_tool_is_removed_from_a_body_in_a_file(call, upstream):
    text = "x" * 2_000_000
    call(MESSAGES, data=f'{{"text": "{text}", "tools": [{OWN}, {WEB_SEARCH}], "max_tokens": 5}}')
    assert upstream.requests[0].body.decode() == f'{{"text": "{text}", "tools": [{OWN}], "max_tokens": 5}}'


@pytest.mark.parametrize(
    ("path", "own", "tools"),
    [
        (MESSAGES, {"name": "Bash"}, [
            {"type": "web_fetch_20250910"}, {"type": "code_execution_20250825"}, {"type": "mcp_toolset"},
            {"type": "future_20270101"}, {"type": "customx"}, {"type": "bash_code_execution_20250825"},
            {"type": "computer_20250124x"}, {"type": "tool_search_tool_"},
        ]),
        (RESPONSES, {"type": "function", "name": "f"}, [
            {"type": "file_search", "vector_store_ids": ["vs_1"]}, {"type": "mcp", "server_url": "https://example.com"},
            {"type": "code_interpreter"}, {"type": "image_generation"}, {"type": "web_search_preview_2025_03_11"},
            {"type": "shell", "environment": {"type": "container_auto"}}, {"type": "future"}, {},
            {"type": "\ud800"}, {"type": 1}, {"type": "function_web_search"}, {"type": "customx"},
            {"type": "tool_search_bm25"}, {"type": "computer_cloud"}, {"type": "function\n"},
        ]),
    ],
)  # fmt: skip
def test_hosted_and_unknown_tools_are_removed(call, upstream, path, own, tools):
    for tool in tools:
        call(path, data=json.dumps({"tools": [tool, own]}))
        assert json.loads(upstream.requests[-1].body) == {"tools": [own]}, tool


@pytest.mark.parametrize(
    ("path", "tools"),
    [
        (MESSAGES, [{"name": "a"}, {"type": "custom"}, {"type": "bash_20250124"}, {"type": "computer_20250124"}]),
        (MESSAGES, [{"type": "text_editor_20250728"}, {"type": None}, {"type": "tool_search_tool_bm25_20251119"}]),
        (RESPONSES, [{"type": "custom"}, {"type": "local_shell"}, {"type": "tool_search"}]),
        (RESPONSES, [{"type": "apply_patch"}, {"type": "computer_use_preview"}, {"type": "computer"}]),
        (RESPONSES, []),
    ],
)  # fmt: skip
def test_client_side_tools_are_kept(call, upstream, path, tools):
    body = json.dumps({"tools": tools}).encode()
    call(path, data=body)
    assert upstream.requests[0].body == body


@pytest.mark.parametrize(
    ("path", "allowed", "body"),
    [
        (MESSAGES, ["claude", "web_search"], {"tools": [{"type": "web_search_20250305"}]}),
        (MESSAGES, ["claude", "code_execution"], {"tools": [{"type": "code_execution_20250825"}]}),
        (RESPONSES, ["codex", "web_search", "mcp"], {"tools": [{"type": "web_search"}]}),
        (RESPONSES, ["codex", "code_execution"], {"tools": [{"type": "code_interpreter"}]}),
        (CHAT_COMPLETIONS, ["codex", "web_search"], {"model": "gpt-5-search-api", "web_search_options": {}}),
    ],
)
def test_an_allowed_hosted_tool_is_kept(call, upstream, assessment, path, allowed, body):
    assessment.update_columns(allowed_tools=allowed)
    call(path, data=json.dumps(body))
    assert json.loads(upstream.requests[0].body) == body


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (MESSAGES, f'{{"tools": [{WEB_SEARCH}]}}'),
        (MESSAGES, f'{{"tools":[{OWN},{WEB_SEARCH}],"tool_choice":{{"type":"tool","name":"web_search"}}}}'),
        (MESSAGES, '{"mcp_servers": [{"type": "url", "url": "https://example.com"}]}'),
        (RESPONSES, f'{{"tools":[{CODEX_SEARCH}],"tool_choice":"auto"}}'),
        (RESPONSES, '{"tools":[{"type":"\\ud800"}]}'),
        (RESPONSES, f'{{"tools":[{OWN_FUNCTION},{CODEX_SEARCH}],"tool_choice":{{"type":"web_search"}}}}'),
        (
            RESPONSES,
            f'{{"tools":[{OWN_FUNCTION},{CODEX_SEARCH}],'
            '"tool_choice":{"type":"allowed_tools","tools":[{"type":"web_search"}]}}',
        ),
        (CHAT_COMPLETIONS, '{"web_search_options": {}}'),
        (CHAT_COMPLETIONS, '{"model": "gpt-4o-search-preview"}'),
        (CHAT_COMPLETIONS, '{"model": "gpt-5-search-api"}'),
        (CHAT_COMPLETIONS, f'{{"tools": [{CODEX_SEARCH}]}}'),
    ],
)
def test_a_call_that_requires_a_hosted_tool_is_rejected(call, upstream, path, body):
    response = call(path, data=body)
    assert error_of(response) == (403, "permission_error", "hosted_tool_not_allowed")
    assert response.headers["X-Should-Retry"] == "false"
    assert upstream.requests == []


@pytest.mark.parametrize("choice", ['{"type":"tool","name":"Bash"}', '{"type":"any"}', "null"])
def test_a_choice_of_an_allowed_tool_is_forwarded(call, upstream, choice):
    assert call(MESSAGES, data=f'{{"tools":[{OWN},{WEB_SEARCH}],"tool_choice":{choice}}}').status_code == 200
    assert upstream.requests[0].body.decode() == f'{{"tools":[{OWN}],"tool_choice":{choice}}}'


URL = "https://example.com/a.png"
IMAGE = {"type": "input_image", "image_url": URL}
SOURCE = {"type": "image", "source": {"type": "url", "url": URL}}
STORED_STATE = [
    (RESPONSES, {"previous_response_id": "resp_1"}),
    (RESPONSES, {"conversation": {"id": "conv_1"}}),
    (RESPONSES, {"prompt": {"id": "pmpt_1"}}),
    (RESPONSES, {"input": [{"role": "user", "content": "a"}, {"type": "item_reference", "id": "msg_1"}]}),
    (RESPONSES, {"input": [{"id": "msg_1"}]}),
    (RESPONSES, {"input": [{"id": "msg_1", "role": None}]}),
    (RESPONSES, {"input": [{"id": "msg_1", "role": ""}]}),
    (RESPONSES, {"input": [FILE]}),
    (RESPONSES, {"input": [{"role": "user", "content": [{"type": "input_text", "text": "a"}, FILE]}]}),
    (RESPONSES, {"input": [{"type": "function_call_output", "output": [FILE]}]}),
    (RESPONSES, {"input": [{"type": "computer_call_output", "output": FILE}]}),
    (MESSAGES, {"messages": [{"content": [{"type": "image", "source": FILE}]}]}),
    (MESSAGES, {"messages": [{"content": [{"type": "container_upload", "file_id": "file_1"}]}]}),
    (MESSAGES, {"messages": [{"content": [{"content": [{"source": {"content": [{"source": FILE}]}}]}]}]}),
    (MESSAGES, {"container": "container_1"}),
    (CHAT_COMPLETIONS, user_message({"type": "file", "file": {"file_id": "file-1"}})),
    (CHAT_COMPLETIONS, {"messages": [{"role": "assistant", "audio": {"id": "audio_1"}}]}),
]
REMOTE_INPUT = [
    (RESPONSES, {"input": [{"role": "user", "content": [IMAGE]}]}, "`image_url`"),
    (RESPONSES, {"input": [{"content": [IMAGE | {"image_url": {"url": URL}}]}]}, "`image_url`"),
    (RESPONSES, {"input": [{"content": [{"type": "input_file", "file_url": URL}]}]}, "`file_url`"),
    (RESPONSES, {"input": [{"type": "function_call_output", "output": [IMAGE]}]}, "`image_url`"),
    (RESPONSES, {"input": [{"type": "computer_call_output", "output": IMAGE}]}, "`image_url`"),
    (RESPONSES, {"input": {"content": [IMAGE]}}, "`image_url`"),
    (MESSAGES, {"messages": [{"content": [SOURCE]}]}, "`source.url`"),
    (MESSAGES, {"system": [SOURCE]}, "`source.url`"),
    (MESSAGES, {"messages": [{"content": [{"type": "tool_result", "content": [SOURCE]}]}]}, "`source.url`"),
    (MESSAGES, {"messages": [{"content": [{"source": {"content": [SOURCE]}}]}]}, "`source.url`"),
    (CHAT_COMPLETIONS, user_message({"type": "file", "file": {"file_url": URL}}), "`file_url`"),
    (CHAT_COMPLETIONS, user_message({"type": "image_url", "image_url": {"url": URL}}), "`image_url`"),
    (CHAT_COMPLETIONS, user_message({"type": "image_url", "image_url": URL}), "`image_url`"),
]
SURCHARGES = [
    (RESPONSES, {"service_tier": "priority"}, "`service_tier`"),
    (RESPONSES, {"service_tier": "fast"}, "`service_tier`"),
    (RESPONSES, {"service_tier": ["priority"]}, "`service_tier`"),
    (MESSAGES, {"service_tier": "priority"}, "`service_tier`"),
    (MESSAGES, {"inference_geo": "us"}, "`inference_geo`"),
    # Claude Code then continues at the standard speed.
    (MESSAGES, {"speed": "fast"}, "Fast mode is not enabled"),
    (CHAT_COMPLETIONS, {"modalities": ["text", "audio"]}, "`modalities`"),
    (CHAT_COMPLETIONS, {"audio": {"voice": "alloy"}}, "`audio`"),
    (CHAT_COMPLETIONS, {"service_tier": "priority"}, "`service_tier`"),
]


@pytest.mark.parametrize(
    ("code", "path", "fields", "message"),
    [
        ("background_not_supported", RESPONSES, {"background": True}, "`background`"),
        *(("choices_not_supported", CHAT_COMPLETIONS, {"n": n}, "`n`") for n in (2, 0, 3.5, "many")),
        *(("stored_state_not_supported", *case, "References to data") for case in STORED_STATE),
        *(("remote_input_not_supported", *case) for case in REMOTE_INPUT),
        *(("surcharge_not_supported", *case) for case in SURCHARGES),
    ],
)
def test_unsupported_requests_are_rejected(call, upstream, code, path, fields, message):
    response = call(path, data=json.dumps(fields))
    assert error_of(response) == (400, "invalid_request_error", code)
    assert message in response.json["error"]["message"]
    assert upstream.requests == []


@pytest.mark.parametrize("field", [f'"n": 2.{"0" * 70_000}', f'"modalities": ["text",{" " * 70_000}"audio"]'])
def test_a_setting_cannot_be_hidden_by_its_length(call, upstream, field):
    response = call(CHAT_COMPLETIONS, data=f'{{"model": "gpt-5", {field}}}')
    assert error_of(response)[::2] == (400, "invalid_json")
    assert "65,536 bytes" in response.json["error"]["message"]
    assert upstream.requests == []


DATA_URL = "data:image/png;base64,AA=="
STANDARD = {"service_tier": "auto", "speed": "standard", "inference_geo": "global"}


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        (RESPONSES, {"background": False, "service_tier": "flex", "input": [{"content": [{"image_url": DATA_URL}]}]}),
        (RESPONSES, {"service_tier": None, "input": [{"content": [{"image_url": None, "file_url": None}]}]}),
        (RESPONSES, {"input": [{"id": "msg_1", "role": "assistant", "content": "file_id"}]}),
        (RESPONSES, {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": None}]}]}),
        (MESSAGES, STANDARD | {"messages": [{"content": [{"source": {"type": "base64"}, "url": URL}]}]}),
        (MESSAGES, {"messages": [{"content": [{"source": URL}]}]}),
        (MESSAGES, {"messages": [{"content": [{"type": "tool_use", "input": {"file_id": "a"}}]}]}),
        (MESSAGES, {"messages": [{"content": "file_id"}, {"content": [{"type": "text", "text": "file_id"}]}]}),
        (CHAT_COMPLETIONS, {"model": "gpt-5", "n": 1, "stream_options": {"include_usage": True}, "store": True}),
        (CHAT_COMPLETIONS, {"modalities": ["text"], "audio": None, "web_search_options": None, "service_tier": "flex"}),
        (CHAT_COMPLETIONS, user_message({"type": "image_url", "image_url": {"url": DATA_URL}})),
        (CHAT_COMPLETIONS, user_message({"type": "file", "file": {"file_data": DATA_URL, "filename": "a"}})),
        (CHAT_COMPLETIONS, {"messages": [{"role": "assistant", "content": None}, {"role": "tool", "content": "x"}]}),
        (CHAT_COMPLETIONS, {"messages": [{"role": "user", "content": "web_search_options"}]}),
        (CHAT_COMPLETIONS, {"tools": [{"type": "function", "function": {"name": "f"}}, {"type": "custom"}]}),
    ],
)  # fmt: skip
def test_supported_requests_are_forwarded_unchanged(call, upstream, path, fields):
    body = json.dumps(fields)
    assert call(path, data=body).status_code == 200
    assert upstream.requests[0].body.decode() == body


@BOTH
@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"1", b"not JSON", b'{"a": 1', b'{"a": 1}}', b'{"a" 1}', b'{"a": 1,}', b"{'a': 1}", b'{"a": 1} x',
        b'\xef\xbb\xbf{"a": 1}', '{"a": 1}'.encode("utf-16"), b'{"max_tokens": 1, "max\\u005ftokens": 64000}',
        b'{"a": [}', b'{"a": [1}]', b'{"a": "\n"}', b'{:1}', b'{"model": "\\x"}',
    ],
)  # fmt: skip
def test_invalid_json_is_rejected(call, upstream, path, body):
    assert error_of(call(path, data=body)) == (400, "invalid_request_error", "invalid_json")
    assert upstream.requests == []


@BOTH
@pytest.mark.parametrize(
    "body",
    [
        b'{"input": [%b1]}' % (b"[]," * MAX_BRACKETS),
        b'{"input": [%b1]}' % (b"1," * 1_100_000),
        b'{"tools": [%b1], "input": [%b1]}' % (b'"",' * MAX_CHILDREN, b'"",' * MAX_CHILDREN),
        b'{"tools": %b' % (b'[{"tools":' * MAX_BRACKETS),
    ],
    ids=["brackets", "numbers", "children", "depth"],
)
def test_a_body_with_too_many_values_is_rejected(call, upstream, path, body):
    assert error_of(call(path, data=body))[::2] == (400, "too_many_values")
    assert upstream.requests == []


def test_tools_nested_twice_are_rejected(call, upstream):
    nested = {"type": "namespace", "tools": [{"type": "namespace", "tools": [{"type": "function"}]}]}
    assert error_of(call(RESPONSES, data=json.dumps({"tools": [nested]})))[::2] == (400, "invalid_json")
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("allowed", "rejected"), [(["claude"], RESPONSES), (["codex", "web_search"], MESSAGES)]
)
def test_an_agent_that_is_not_allowed_is_rejected(call, upstream, assessment, allowed, rejected):
    assessment.update_columns(allowed_tools=allowed)
    for path in (MESSAGES, RESPONSES):
        assert call(path).status_code == (403 if path == rejected else 200)
    assert error_of(call(rejected)) == (403, "permission_error", "agent_not_allowed")
    models = rejected.rpartition("/")[0] + "/models"
    assert call(models, method="GET").status_code == 403
    assert len(upstream.requests) == 1
