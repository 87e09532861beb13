"""Messages in a request's history are compared with the recorded responses."""

import time

from rules.integrity.channel_comparison import RewrittenMessages

HISTORY = {"fromHistory": True, "role": "assistant", "type": "text"}


def test_messages_that_a_response_starts_with_are_known():
    messages = RewrittenMessages()
    for number, text in enumerate(["I found", "I found the  cause", "I found it.", "Élan \ud800", "I"]):
        messages.add(f"event-{number}", "context", HISTORY | {"text": text})
    messages.discard("ai_response", {"lastAssistantMessage": "I found the cause."})
    messages.discard("context", {"role": "assistant", "text": "Élan \ud800!"})
    messages.discard("context", {"role": "user", "text": "I found it."})
    [finding] = messages.findings()
    assert (finding.event_ids, len(messages)) == (["event-2"], 1)


def test_many_messages_and_events_take_linear_time():
    messages = RewrittenMessages()
    start = time.process_time()
    for number in range(20_000):
        messages.add(f"event-{number}", "context", HISTORY | {"text": f"I found cause {number}."})
    for number in range(20_000):
        messages.discard("context", {"role": "user", "text": f"Go on {number}"})
        messages.discard("tool_intent", {"toolUseId": f"call-{number}"})
    assert time.process_time() - start < 2
    assert len(messages) == 20_000
