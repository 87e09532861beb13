"""The Chat Completions API, as opencode and unknown tools use it."""

import pytest

from rules.agents.model_apis.chat_completions import DONE
from tests.rules.agents.completions import chunk, continued, request, response, started, user
from tests.rules.agents.messages import MEASURED


def test_a_streamed_response_has_its_text_usage_and_calls():
    parts = [
        chunk(role="assistant", content=""),
        chunk(content="I lo"),
        chunk(content="ok."),
        started("call_1", "bash"),
        continued('{"comm'),
        started("call_2", "read", 1),
        continued('and": "ls"}'),
        continued('{"filePath": "/shop/a.py"}', 1),
        chunk("tool_calls"),
        {"id": "chatcmpl-1", "choices": [], "usage": {"prompt_tokens": 12}},
        DONE,
    ]
    sent = response(*parts)
    answer, *intents = sent.events(request(user("Fix it.")), MEASURED)
    assert (answer.data["lastAssistantMessage"], answer.data["inputTokens"]) == ("I look.", 12)
    assert [(event.data["toolUseId"], event.data["inputPreview"]) for event in intents] == [
        ("call_1", '{"command": "ls"}'),
        ("call_2", '{"filePath": "/shop/a.py"}'),
    ]


def test_calls_do_not_need_an_index():
    parts = [
        started("call_1", "bash", None),
        continued('{"command": "ls"}', None),
        started("call_2", "read", None),
        continued("{}", None),
    ]
    _, *intents = response(*parts).events(request(user("Fix it.")), MEASURED)
    assert [(event.data["toolUseId"], event.data["inputPreview"]) for event in intents] == [
        ("call_1", '{"command": "ls"}'),
        ("call_2", "{}"),
    ]


def test_a_later_object_without_a_model_keeps_the_model():
    parts = [chunk(content="I look.") | {"id": "chatcmpl-1", "model": "m"}, chunk("stop")]
    (answer,) = response(*parts).events(request(user("Fix it.")), MEASURED._replace(model=None))
    assert answer.data["model"] == "m"


@pytest.mark.parametrize(
    ("parts", "is_complete"),
    [
        ([], False),
        ([chunk(content="Yes")], False),
        ([chunk(content="Yes"), chunk("stop")], False),
        ([chunk(content="Yes"), chunk("stop"), DONE], True),
        ([chunk(content="Yes"), chunk("stop"), {"choices": [], "usage": {}}], True),
        ([{"object": "chat.completion", "choices": [{"message": {"content": "Yes"}}]}], True),
    ],
)
def test_a_response_is_complete_after_its_last_object(parts, is_complete):
    assert response(*parts).is_complete is is_complete


def test_a_broken_stream_records_its_received_parts():
    broken = response(chunk(content="I lo"), started("call_1", "bash"), continued('{"comm'))
    answer, intent = broken.events(request(user("Hi")), MEASURED)
    assert (answer.data["lastAssistantMessage"], intent.data["inputPreview"]) == ("I lo", '{"comm')
