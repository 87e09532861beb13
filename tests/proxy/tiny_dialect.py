"""A minimal dialect of Anthropic's Messages, independent of any tool's details."""

from rules.agents.model_apis.texts import message_texts
from rules.agents.unknown_agent import Agent
from rules.events.recorded_events import RecordedEvent


def on_read(index):
    """A hook for tests, called with the index of each message that is read."""


def read_request(headers, body):
    return Request(headers, body)


class Request:
    is_limited = False

    def __init__(self, headers, body):
        self.messages = body.get("messages", [])
        self.agent = Agent("tiny", "1.0", headers.get("x-agent-session", "agent-1"))

    def limit(self, has_time):
        """Ignore the limit: nothing takes long."""

    def latest_events(self):
        answers = [n for n, message in enumerate(self.messages) if message["role"] == "assistant"]
        return [
            event for n in range(max(answers, default=0), len(self.messages)) for event in self._events(n)
        ]

    def positions(self):
        for position in range(len(self.messages)):
            yield from ((key, position) for text, _ in self.texts(position) for key in text.keys)

    def texts(self, position):
        message = self.messages[position]
        is_history = any(message["role"] == "assistant" for message in self.messages[position:])
        return [(text, is_history) for text in message_texts(message)]

    def _events(self, index):
        on_read(index)
        message = self.messages[index]
        if message["role"] == "assistant":
            return response_events(message["content"], {}, index)
        return [_user_event(part, index, number) for number, part in enumerate(_parts(message))]


class Response:
    is_complete = False

    def __init__(self):
        self.content = []

    def add(self, part):
        if part.get("type") == "message":
            self.content += part["content"]
        elif part.get("type") == "content_block_start":
            self.content.append(dict(part["content_block"]))
        elif part.get("delta", {}).get("type") == "text_delta":
            self.content[-1]["text"] += part["delta"]["text"]

    def texts(self):
        return message_texts({"role": "assistant", "content": self.content})

    def events(self, request, usage):
        cost = usage.cost_nano_usd and usage.cost_nano_usd / 10**9
        usage = {
            "model": usage.model,
            "requestId": usage.request_id,
            "usageScope": "request",
            "outputTokens": usage.counts.get("output"),
            "totalCost": cost,
            "firstTokenMs": usage.first_token_ms,
        }
        return response_events(self.content, usage, len(request.messages))


def response_events(content, usage, position):
    text = "".join(part.get("text", "") for part in content)
    data = {"lastAssistantMessage": text} | usage
    intents = [
        RecordedEvent("tool_intent", {"toolName": part["name"], "toolUseId": part["id"]}, part["id"])
        for part in content
        if part["type"] == "tool_use"
    ]
    return [RecordedEvent("ai_response", data, f"response-{position}"), *intents]


def _parts(message):
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _user_event(part, index, number):
    if part["type"] == "tool_result":
        tool_use_id = part["tool_use_id"]
        data = {"toolUseId": tool_use_id, "command": "ls", "stdout": part["content"]}
        return RecordedEvent("command", data, tool_use_id)
    return RecordedEvent("prompt", {"text": part["text"]}, f"prompt-{index}", number)
