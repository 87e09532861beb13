"""The expected recording, computed from the script and the provider's responses."""

from collections.abc import Iterator
from typing import Any

from tests.agents.prices import cost_nano_usd, has_price
from tests.agents.provider import Served
from tests.agents.script import Answer, Call, Conversation, Event, Script

RESPONSES = ("ai_response", "subagent_usage")
# In script order. Outcomes of parallel calls can be in any order.
ORDERED = ("prompt", "tool_intent", "interrupt", *RESPONSES)


def timelines(script: Script, served: list[Served]) -> list[list[Event]]:
    """Return the conversation's events, then each subagent's, without side calls such as titles."""
    by_answer = {id(call.answer): call for call in served if call.answer}
    main, *subagents = script.conversations
    return [
        list(_events(main, by_answer)),
        *(list(_subagent(conversation, by_answer)) for conversation in subagents),
    ]


def _events(conversation: Conversation, served: dict[int, Served]) -> Iterator[Event]:
    for step in conversation:
        if isinstance(step, Answer):
            yield from _answer(step, _response(step, served[id(step)]))
        else:
            yield Event("prompt", text=step.text)


def _subagent(conversation: Conversation, served: dict[int, Served]) -> Iterator[Event]:
    """Yield a subagent's events. Its task is not recorded as a prompt, nor its text as an answer."""
    for step in conversation:
        if isinstance(step, Answer):
            usage = usage_of(served[id(step)])
            yield from _answer(
                step, Event("subagent_usage", sidechain=True, lastAssistantMessage=None, **usage)
            )


def _answer(answer: Answer, response: Event) -> Iterator[Event]:
    yield response
    if answer.never_ends:
        yield Event("interrupt", variant="generation")
    for call in answer.calls:
        yield Event("tool_intent", toolName=call.name.rpartition(".")[2], toolUseId=call.id)
    for call in answer.calls:
        yield from _outcome(call)


def _response(answer: Answer, served: Served) -> Event:
    # The usage of an interrupted response is estimated.
    usage = {} if answer.never_ends else usage_of(served)
    return Event("ai_response", lastAssistantMessage=answer.text or None, **usage)


def usage_of(served: Served) -> dict[str, Any]:
    """Return the event fields for the usage that the provider sent."""
    usage = served.usage
    return {
        "requestId": served.request_id,
        "model": served.model,
        "usageScope": "request",
        "inputTokens": usage.input,
        "outputTokens": usage.output,
        "cacheReadTokens": usage.cache_read,
        "totalCost": cost_nano_usd(served.model, usage) / 10**9 if has_price(served.model) else None,
    } | ({"cacheWriteTokens": usage.cache_write} if usage.cache_write else {})


def _outcome(call: Call) -> Iterator[Event]:
    for event in call.outcome:
        yield Event(event.kind, **event.data, toolUseId=(call.continues or call).id)


def recorded(events: list[dict[str, Any]], expected: list[list[Event]]) -> list[list[Event]]:
    """Group the recorded events like `timelines`."""
    requests = {
        event.data["requestId"] for timeline in expected for event in timeline if "requestId" in event.data
    }
    conversations: dict[str | None, list[Event]] = {None: []}
    for event in events:
        if event["kind"] != "context" and not _is_side_call(event, requests):
            agent = event["data"]["meta"].get("agentId")
            conversations.setdefault(agent, []).append(Event(event["kind"], **event["data"]))
    return [_in_call_order(timeline) for timeline in conversations.values()]


def _is_side_call(event: dict[str, Any], requests: set[str]) -> bool:
    return event["kind"] == "subagent_usage" and event["data"].get("requestId") not in requests


def _in_call_order(events: list[Event]) -> list[Event]:
    """Sort the outcomes of parallel calls by call id, which is the call order."""
    ordered: list[Event] = []
    outcomes: list[Event] = []
    for event in events:
        if event.kind in ORDERED and "cutTool" not in event.data:
            ordered += sorted(outcomes, key=_call_id)
            outcomes = []
            ordered.append(event)
        else:
            outcomes.append(event)
    return ordered + sorted(outcomes, key=_call_id)


def _call_id(event: Event) -> str:
    return event.data.get("toolUseId") or ""


def label(event: Event) -> tuple[str, Any, Any]:
    """Return an event's kind, tool call and path. Paths outside the workspace are unpredictable."""
    path = event.data.get("path")
    return event.kind, event.data.get("toolUseId"), path if path and not path.startswith("/") else None
