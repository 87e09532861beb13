"""The Chat Completions API, as a provider serves it."""

import json
from collections.abc import Iterator
from typing import Any

from tests.agents.script import Answer, End


def read_end(body: dict[str, Any]) -> End:
    messages = body["messages"]
    last = max(
        (number for number, message in enumerate(messages, 1) if message["role"] == "assistant"), default=0
    )
    ids = {message["tool_call_id"] for message in messages[last:] if message["role"] == "tool"}
    return End(ids, _texts(messages[last:]), _texts(messages[:last]))


def _texts(messages: list[dict[str, Any]]) -> list[str]:
    contents = [message["content"] for message in messages if message["role"] == "user"]
    return [text for content in contents for text in _content(content)]


def _content(content: str | list[dict[str, Any]]) -> list[str]:
    return [content] if isinstance(content, str) else [part["text"] for part in content if "text" in part]


def stream(served: Any, answer: Answer) -> Iterator[bytes]:
    yield _chunk(served, {"role": "assistant", "content": ""})
    if answer.text:
        yield _chunk(served, {"content": answer.text})
    for index, call in enumerate(answer.calls):
        function = {"name": call.name, "arguments": ""}
        head = {"index": index, "id": call.id, "type": "function", "function": function}
        yield _chunk(served, {"tool_calls": [head]})
        arguments = {"index": index, "function": {"arguments": json.dumps(call.arguments)}}
        yield _chunk(served, {"tool_calls": [arguments]})
    yield _chunk(served, {}, finish_reason="tool_calls" if answer.calls else "stop")
    prompt = served.usage.input + served.usage.cache_read
    yield _data(
        _head(served)
        | {
            "choices": [],
            "usage": {
                "prompt_tokens": prompt,
                "prompt_tokens_details": {"cached_tokens": served.usage.cache_read},
                "completion_tokens": served.usage.output,
                "total_tokens": prompt + served.usage.output,
            },
        }
    )
    yield b"data: [DONE]\n\n"


def _head(served: Any) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{served.request_id}",
        "object": "chat.completion.chunk",
        "created": 1_790_000_000,
        "model": served.model,
    }


def _chunk(served: Any, delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return _data(_head(served) | {"choices": [choice]})


def _data(document: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(document)}\n\n".encode()
