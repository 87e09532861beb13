"""Messages API requests, as Claude Code sends them."""

import json

from rules.agents.model_apis import anthropic_messages
from rules.events.recorded_events import ResponseUsage

SESSION = "0c9b1f7e-5b0a-4c57-9a55-2f1d3c7b8a10"
HEADERS = {"user-agent": "claude-cli/2.1.197 (external, cli)", "x-claude-code-session-id": SESSION}
SYSTEM = [
    {
        "type": "text",
        "text": "You help with code.\n# Environment\n - Primary working directory: /shop\n - Git",
    }
]
TOOLS = [{"name": "Bash", "input_schema": {"type": "object"}}]
TOKENS = {"input": 12, "output": 34, "cacheRead": 5}
USAGE = ResponseUsage("req_1", "model-1", TOKENS, 1_500_000, 80, 900)
REMINDER = "<system-reminder>\nToday is Tuesday.\n</system-reminder>\n"


def user(*blocks):
    return {"role": "user", "content": [text(block) if isinstance(block, str) else block for block in blocks]}


def assistant(*blocks):
    return user(*blocks) | {"role": "assistant"}


def text(value):
    return {"type": "text", "text": value}


def call(call_id, name, /, **arguments):
    return {"type": "tool_use", "id": call_id, "name": name, "input": arguments}


def result(call_id, content, is_error=None):
    block = {"type": "tool_result", "tool_use_id": call_id, "content": content}
    return block if is_error is None else block | {"is_error": is_error}


def request(*messages, headers=HEADERS, **fields):
    body = {
        "model": "model-1",
        "max_tokens": 64000,
        "system": SYSTEM,
        "tools": TOOLS,
        "messages": list(messages),
    }
    return anthropic_messages.read_request(headers, body | fields)


def response(*blocks):
    response = anthropic_messages.Response()
    response.add({"type": "message", "id": "msg_1", "model": "model-1"} | assistant(*blocks))
    return response


def stream(*blocks):
    """Yield the events of a streamed response, as the provider splits its blocks."""
    yield {"type": "message_start", "message": {"id": "msg_1", "model": "model-1", "usage": {}}}
    for index, block in enumerate(blocks):
        empty, deltas = _split(block)
        yield {"type": "content_block_start", "index": index, "content_block": block | empty}
        yield from ({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas)
        yield {"type": "content_block_stop", "index": index}
    yield from ({"type": "message_delta", "delta": {}, "usage": {}}, {"type": "message_stop"})


def _split(block):
    if block["type"] == "tool_use":
        return {"input": {}}, [{"type": "input_json_delta", "partial_json": json.dumps(block["input"])}]
    empty = {name: [] if name == "citations" else "" for name in block if name != "type"}
    citations = ({"type": "citations_delta", "citation": each} for each in block.get("citations", ()))
    texts = ({"type": f"{name}_delta", name: block[name]} for name in empty if name != "citations")
    return empty, [*citations, *texts]


def turns(model_request):
    """Yield the events of each turn, latest turn first."""
    conversation = model_request.conversation
    yield from filter(None, map(conversation.events, conversation.turns()))


def events(*messages, **fields):
    latest_first = list(turns(request(*messages, **fields)))
    return [event for turn in reversed(latest_first) for event in turn]


def outcomes(*calls, before=()):
    """Return the events of calls with their results, without the intents."""
    messages = [user("Do it."), *before]
    for number, (name, arguments, content, is_error) in enumerate(calls, 1):
        call_id = f"toolu_{number}"
        messages += [assistant(call(call_id, name, **arguments)), user(result(call_id, content, is_error))]
    _prompt, *outcomes = (event for event in events(*messages) if event.kind != "tool_intent")
    return outcomes


def identities(events):
    return [(event.kind, event.identity, event.index) for event in events]
