"""Chat Completions requests, as opencode sends them."""

import json

from rules.agents.model_apis import chat_completions

SESSION = "ses_0a1b2c3d4e5f6789"
HEADERS = {"user-agent": "opencode/1.18.33 ai-sdk/provider-utils/4.0.23", "x-session-id": SESSION}
SYSTEM = {"role": "system", "content": "You help.\n<env>\n  Working directory: /shop\n</env>"}
TOOLS = [{"type": "function", "function": {"name": "bash"}}]


def user(content):
    return {"role": "user", "content": content}


def assistant(content, *calls):
    return {"role": "assistant", "content": content, **({"tool_calls": list(calls)} if calls else {})}


def call(call_id, tool, /, **arguments):
    function = {"name": tool, "arguments": json.dumps(arguments)}
    return {"id": call_id, "type": "function", "function": function}


def result(call_id, content):
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def request(*messages, headers=HEADERS, **fields):
    body = {"model": "model-1", "stream": True, "tools": TOOLS, "messages": [SYSTEM, *messages]}
    return chat_completions.read_request(headers, body | fields)


def chunk(finish_reason=None, **delta):
    return {"id": "chatcmpl-1", "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}


def call_start(call_id, name, index=0):
    return chunk(tool_calls=[{"index": index, "id": call_id, "function": {"name": name, "arguments": ""}}])


def call_delta(arguments, index=0):
    return chunk(tool_calls=[{"index": index, "function": {"arguments": arguments}}])


def response(*parts):
    response = chat_completions.Response()
    for part in parts:
        response.add(part)
    return response
