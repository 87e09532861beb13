"""The Messages API, as a provider serves it."""

import json
from collections.abc import Iterator
from typing import Any

from tests.agents.script import Answer, End


def read_end(body: dict[str, Any]) -> End:
    messages = body["messages"]
    last = max(
        (number for number, message in enumerate(messages, 1) if message["role"] == "assistant"), default=0
    )
    blocks = [block for message in messages[last:] for block in _blocks(message["content"])]
    ids = {block["tool_use_id"] for block in blocks if block["type"] == "tool_result"}
    return End(ids, _texts(messages[last:]), _texts(messages[:last]))


def _texts(messages: list[dict[str, Any]]) -> list[str]:
    blocks = [
        block for message in messages if message["role"] == "user" for block in _blocks(message["content"])
    ]
    return [block["text"] for block in blocks if block["type"] == "text"]


def _blocks(content: str | list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def stream(served: Any, answer: Answer) -> Iterator[bytes]:
    """Yield a streamed response's events, without the last events if it never ends."""
    usage = {
        "input_tokens": served.usage.input,
        "cache_read_input_tokens": served.usage.cache_read,
        "cache_creation_input_tokens": served.usage.cache_write,
        "cache_creation": {
            "ephemeral_5m_input_tokens": served.usage.cache_write,
            "ephemeral_1h_input_tokens": 0,
        },
    }
    message = {"id": f"msg_{served.request_id}", "type": "message", "role": "assistant", "content": []}
    message |= {"model": served.model, "stop_reason": None, "stop_sequence": None}
    yield _event("message_start", message=message | {"usage": usage | {"output_tokens": 1}})
    yield _event("ping")
    blocks = list(_content(answer))
    for index, (start, deltas) in enumerate(blocks):
        yield _event("content_block_start", index=index, content_block=start)
        for delta in deltas:
            yield _event("content_block_delta", index=index, delta=delta)
        if not answer.never_ends:
            yield _event("content_block_stop", index=index)
    if answer.never_ends:
        return
    end = {"stop_reason": "tool_use" if answer.calls else "end_turn", "stop_sequence": None}
    yield _event("message_delta", delta=end, usage=usage | {"output_tokens": served.usage.output})
    yield _event("message_stop")


def _content(answer: Answer) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    if answer.text:
        half = len(answer.text) // 2
        parts = [answer.text[:half], answer.text[half:]]
        yield {"type": "text", "text": ""}, [{"type": "text_delta", "text": part} for part in parts]
    for call in answer.calls:
        arguments = json.dumps(call.arguments)
        parts = [arguments[:7], arguments[7:]]
        start = {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
        yield start, [{"type": "input_json_delta", "partial_json": part} for part in parts]


def _event(name: str, **fields: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps({'type': name} | fields)}\n\n".encode()
