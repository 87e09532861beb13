"""Requests of the Messages API for tests, in the form in which Claude Code sends them."""

from itertools import count

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
FACTS = ResponseUsage("req_1", "model-1", {"input": 12, "output": 34}, 1_500_000, 80, 900)
REMINDER = "<system-reminder>\nToday is Tuesday.\n</system-reminder>\n"


def user(*blocks):
    return {"role": "user", "content": [text(each) if isinstance(each, str) else each for each in blocks]}


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
    """A request with these messages; `fields` replace others of the body."""
    body = {
        "model": "model-1",
        "max_tokens": 64000,
        "system": SYSTEM,
        "tools": TOOLS,
        "messages": list(messages),
    }
    return anthropic_messages.read_request(headers, body | fields)


def response(*blocks, message_id="msg_1"):
    """A whole response."""
    collected = anthropic_messages.Response()
    content = [text(each) if isinstance(each, str) else each for each in blocks]
    collected.add({"type": "message", "id": message_id, "model": "model-1", "content": content})
    return collected


def events(*messages, **fields):
    """All events of a conversation, in order."""
    turns = list(request(*messages, **fields).turns())
    return [event for turn in reversed(turns) for event in turn]


def outcomes(*calls, before=()):
    """The events of calls, each with its result; without the intents."""
    numbers = count(1)
    blocks = [
        (call(f"toolu_{next(numbers)}", name, **arguments), content, error)
        for name, arguments, content, error in calls
    ]
    turns = [
        (assistant(block), user(result(block["id"], content, error))) for block, content, error in blocks
    ]
    messages = [user("Do it."), *before, *(message for turn in turns for message in turn)]
    _prompt, *others = (event for event in events(*messages) if event.kind != "tool_intent")
    return others


def identities(some):
    return [(event.kind, event.identity, event.index) for event in some]
