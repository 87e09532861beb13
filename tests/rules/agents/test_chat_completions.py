"""The Chat Completions API, as used by opencode and unknown tools."""

import pytest

from rules.agents.model_apis.chat_completions import DONE
from rules.agents.model_apis.texts import message_texts
from tests.rules.agents.completions import assistant, call_delta, call_start, chunk, request, response, user
from tests.rules.agents.messages import USAGE


def test_streamed_response_includes_text_usage_and_calls():
    parts = [
        chunk(role="assistant", content=""),
        chunk(content="Let me lo"),
        chunk(content="ok."),
        call_start("call_1", "bash"),
        call_delta('{"comm'),
        call_start("call_2", "read", 1),
        call_delta('and": "ls"}'),
        call_delta('{"filePath": "/shop/a.py"}', 1),
        chunk("tool_calls"),
        {"id": "chatcmpl-1", "choices": [], "usage": {"prompt_tokens": 12}},
        DONE,
    ]
    sent = response(*parts)
    answer, *intents = sent.events(request(user("Fix it.")), USAGE)
    assert (answer.data["lastAssistantMessage"], answer.data["inputTokens"]) == ("Let me look.", 12)
    assert [(event.data["toolUseId"], event.data["inputPreview"]) for event in intents] == [
        ("call_1", '{"command": "ls"}'),
        ("call_2", '{"filePath": "/shop/a.py"}'),
    ]


def test_streamed_calls_of_custom_tools_are_known_in_the_history():
    content = ({"name": "answer", "input": ""}, {"input": "It "}, {"input": "works."})
    start, *rest = ({"index": 0, "custom": part} for part in content)
    sent = response(*(chunk(tool_calls=[part]) for part in (start | {"id": "call_1"}, *rest)))
    _, intent = sent.events(request(user("Answer.")), USAGE)
    assert (intent.data["toolName"], intent.data["inputPreview"]) == ("answer", "It works.")
    repeated = {"id": "call_1", "type": "custom", "custom": {"name": "answer", "input": "It works."}}
    assert [text.keys for text in sent.texts()] == [
        text.keys for text in message_texts(assistant(None, repeated))
    ]


def test_call_index_is_optional():
    parts = [
        call_start("call_1", "bash", None),
        call_delta('{"command": "ls"}', None),
        call_start("call_2", "read", None),
        call_delta("{}", None),
    ]
    _, *intents = response(*parts).events(request(user("Fix it.")), USAGE)
    assert [(event.data["toolUseId"], event.data["inputPreview"]) for event in intents] == [
        ("call_1", '{"command": "ls"}'),
        ("call_2", "{}"),
    ]


def test_later_chunks_without_a_model_keep_the_model():
    parts = [chunk(content="Let me look.") | {"id": "chatcmpl-1", "model": "m"}, chunk("stop")]
    (answer,) = response(*parts).events(request(user("Fix it.")), USAGE._replace(model=None))
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


def test_broken_stream_records_the_received_parts():
    broken = response(chunk(content="Let me lo"), call_start("call_1", "bash"), call_delta('{"comm'))
    answer, intent = broken.events(request(user("Hi")), USAGE)
    assert (answer.data["lastAssistantMessage"], intent.data["inputPreview"]) == ("Let me lo", '{"comm')
