"""Checks before a request is forwarded: hosted tools, stored state, remote input, surcharges and JSON (R42)."""

import json

import pytest

from proxy.json_text import MAX_BRACKETS, MAX_CHILDREN
from tests.proxy.test_error_responses import BOTH, error_of, typed
from tests.proxy.upstream import MESSAGES, RESPONSES

OWN = '{"name": "Bash", "input_schema": {"type": "object"}}'
OWN_FUNCTION = '{"type":"function","name":"exec"}'
WEB_SEARCH = '{"type": "web_search_20250305", "name": "web_search", "max_uses": 8}'
FILE = {"type": "input_file", "file_id": "file-1"}
CODEX_SEARCH = '{"type":"web_search","external_web_access":true}'


@pytest.mark.parametrize(
    ("path", "sent", "forwarded"),
    [
        (MESSAGES, f'{{"tools": [{OWN} , {WEB_SEARCH}]}}', f'{{"tools": [{OWN}]}}'),
        (MESSAGES, f'{{"tools":[ {WEB_SEARCH},\n {OWN}], "a":1.0}}', f'{{"tools":[ {OWN}], "a":1.0}}'),
        (MESSAGES, f'{{"tools":[{WEB_SEARCH},{OWN},{WEB_SEARCH},{OWN}]}}', f'{{"tools":[{OWN},{OWN}]}}'),
        (MESSAGES, f'{{"to\\u006fls":[{WEB_SEARCH},{OWN}]}}', f'{{"to\\u006fls":[{OWN}]}}'),
        (RESPONSES, f'{{"tools":[{OWN_FUNCTION},{CODEX_SEARCH}]}}', f'{{"tools":[{OWN_FUNCTION}]}}'),
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
    ("path", "allowed", "tool"),
    [
        (MESSAGES, ["claude", "web_search"], {"type": "web_search_20250305"}),
        (MESSAGES, ["claude", "code_execution"], {"type": "code_execution_20250825"}),
        (RESPONSES, ["codex", "web_search", "mcp"], {"type": "web_search"}),
        (RESPONSES, ["codex", "code_execution"], {"type": "code_interpreter"}),
    ],
)
def test_an_allowed_hosted_tool_is_kept(call, upstream, assessment, path, allowed, tool):
    assessment.update_columns(allowed_tools=allowed)
    body = json.dumps({"tools": [tool]}).encode()
    call(path, data=body)
    assert upstream.requests[0].body == body


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


def test_background_responses_are_rejected(call, upstream):
    rejected = call(RESPONSES, data='{"model": "gpt-5", "background": true}')
    assert error_of(rejected) == (400, "invalid_request_error", "background_not_supported")
    assert upstream.requests == []
    assert call(RESPONSES, data='{"background": false}').status_code == 200


@pytest.mark.parametrize(
    ("path", "fields"),
    [
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
    ],
)
def test_references_to_stored_data_are_rejected(call, upstream, path, fields):
    response = call(path, data=json.dumps(fields))
    assert error_of(response) == (400, "invalid_request_error", "stored_state_not_supported")
    assert upstream.requests == []


REMOTE = "https://example.com/a.png"
IMAGE = {"type": "input_image", "image_url": REMOTE}
SOURCE = {"type": "image", "source": {"type": "url", "url": REMOTE}}


@pytest.mark.parametrize(
    ("path", "fields", "field"),
    [
        (RESPONSES, {"input": [{"role": "user", "content": [IMAGE]}]}, "image_url"),
        (
            RESPONSES,
            {"input": [{"role": "user", "content": [IMAGE | {"image_url": {"url": REMOTE}}]}]},
            "image_url",
        ),
        (RESPONSES, {"input": [{"content": [{"type": "input_file", "file_url": REMOTE}]}]}, "file_url"),
        (RESPONSES, {"input": [{"type": "function_call_output", "output": [IMAGE]}]}, "image_url"),
        (RESPONSES, {"input": [{"type": "computer_call_output", "output": IMAGE}]}, "image_url"),
        (RESPONSES, {"input": {"content": [IMAGE]}}, "image_url"),
        (MESSAGES, {"messages": [{"content": [SOURCE]}]}, "source.url"),
        (MESSAGES, {"system": [SOURCE]}, "source.url"),
        (MESSAGES, {"messages": [{"content": [{"type": "tool_result", "content": [SOURCE]}]}]}, "source.url"),
        (MESSAGES, {"messages": [{"content": [{"source": {"content": [SOURCE]}}]}]}, "source.url"),
    ],
)
def test_input_from_a_url_is_rejected(call, upstream, path, fields, field):
    response = call(path, data=json.dumps(fields))
    assert error_of(response) == (400, "invalid_request_error", "remote_input_not_supported")
    assert f"`{field}`" in response.json["error"]["message"]
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        (RESPONSES, {"service_tier": "priority"}),
        (RESPONSES, {"service_tier": "fast"}),
        (RESPONSES, {"service_tier": ["priority"]}),
        (MESSAGES, {"service_tier": "priority"}),
        (MESSAGES, {"inference_geo": "us"}),
        (MESSAGES, {"speed": "fast"}),
    ],
)
def test_modes_with_a_surcharge_are_rejected(call, upstream, path, fields):
    response = call(path, data=json.dumps(fields))
    assert error_of(response) == (400, "invalid_request_error", "surcharge_not_supported")
    # Claude Code then continues at the standard speed.
    assert response.json["error"]["message"].startswith("Fast mode is not enabled") == ("speed" in fields)
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (
            RESPONSES,
            {"service_tier": "flex", "input": [{"content": [{"image_url": "data:image/png;base64,AA=="}]}]},
        ),
        (RESPONSES, {"service_tier": None, "input": [{"content": [{"image_url": None, "file_url": None}]}]}),
        (
            MESSAGES,
            {
                "service_tier": "auto",
                "speed": "standard",
                "inference_geo": "global",
                "messages": [
                    {"content": [{"source": {"type": "base64"}, "url": REMOTE}, {"source": REMOTE}]}
                ],
            },
        ),
        (RESPONSES, {"input": [{"id": "msg_1", "role": "assistant", "content": "file_id"}]}),
        (RESPONSES, {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": None}]}]}),
        (MESSAGES, {"messages": [{"content": [{"type": "tool_use", "input": {"file_id": "a"}}]}]}),
        (
            MESSAGES,
            {"messages": [{"content": "file_id"}, {"content": [{"type": "text", "text": "file_id"}]}]},
        ),
    ],
)
def test_supported_content_and_modes_are_forwarded(call, upstream, path, body):
    assert call(path, data=json.dumps(body)).status_code == 200
    assert json.loads(upstream.requests[0].body) == body


@typed("invalid_request_error", "invalid_request_error")
@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"1", b"not JSON", b'{"a": 1', b'{"a": 1}}', b'{"a" 1}', b'{"a": 1,}', b"{'a': 1}", b'{"a": 1} x',
        b'\xef\xbb\xbf{"a": 1}', '{"a": 1}'.encode("utf-16"), b'{"max_tokens": 1, "max\\u005ftokens": 64000}',
        b'{"a": [}', b'{"a": [1}]', b'{"a": "\n"}', b'{:1}', b'{"model": "\\x"}',
    ],
)  # fmt: skip
def test_invalid_json_is_rejected(call, upstream, path, error_type, body):
    assert error_of(call(path, data=body)) == (400, error_type, "invalid_json")
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
