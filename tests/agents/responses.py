"""The Responses API, as a provider serves it."""

import json
from collections.abc import Iterator
from typing import Any

from tests.agents.script import Answer, Call, End

OUTPUTS = ("function_call_output", "custom_tool_call_output")


def read_end(body: dict[str, Any]) -> End:
    items = body["input"]
    last = 0
    for number, item in enumerate(items, 1):
        if item.get("role") != "user" and not _is_output(item):
            last = number
    ids = {item["call_id"] for item in items[last:] if _is_output(item)}
    return End(ids, _texts(items[last:]), _texts(items[:last]))


def _is_output(item: dict[str, Any]) -> bool:
    return item.get("type") in OUTPUTS


def _texts(items: list[dict[str, Any]]) -> list[str]:
    return [part["text"] for item in items if item.get("role") == "user" for part in _parts(item["content"])]


def _parts(content: str | list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"text": content}] if isinstance(content, str) else [part for part in content if "text" in part]


def stream(served: Any, answer: Answer) -> Iterator[bytes]:
    response = {"id": f"resp_{served.request_id}", "object": "response", "model": served.model, "error": None}
    yield _event("response.created", response=response | {"status": "in_progress", "output": []})
    items = list(_items(served, answer))
    for index, item in enumerate(items):
        added = item | ({"content": []} if item["type"] == "message" else {})
        yield _event("response.output_item.added", output_index=index, item=added)
        if item["type"] == "message":
            position = {"item_id": item["id"], "output_index": index, "content_index": 0}
            empty = {"type": "output_text", "text": "", "annotations": []}
            yield _event("response.content_part.added", **position, part=empty)
            yield _event("response.output_text.delta", **position, delta=answer.text)
            yield _event("response.output_text.done", **position, text=answer.text)
            yield _event("response.content_part.done", **position, part=empty | {"text": answer.text})
        yield _event("response.output_item.done", output_index=index, item=item)
    usage = {
        "input_tokens": served.usage.input + served.usage.cache_read,
        "input_tokens_details": {"cached_tokens": served.usage.cache_read},
        "output_tokens": served.usage.output,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": served.usage.input + served.usage.cache_read + served.usage.output,
    }
    yield _event(
        "response.completed", response=response | {"status": "completed", "output": items, "usage": usage}
    )


def _items(served: Any, answer: Answer) -> Iterator[dict[str, Any]]:
    if answer.text:
        content = [{"type": "output_text", "text": answer.text, "annotations": []}]
        yield {
            "type": "message",
            "id": f"msg_{served.request_id}",
            "role": "assistant",
            "status": "completed",
            "content": content,
        }
    yield from map(_call, answer.calls)


def _call(call: Call) -> dict[str, Any]:
    namespace, _, name = call.name.rpartition(".")
    head = {"id": f"item_{call.id}", "call_id": call.id, "name": name, "status": "completed"}
    if namespace:
        head["namespace"] = namespace
    if isinstance(call.arguments, str):
        return {"type": "custom_tool_call", **head, "input": call.arguments}
    return {"type": "function_call", **head, "arguments": json.dumps(call.arguments)}


def _event(name: str, **fields: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps({'type': name} | fields)}\n\n".encode()
