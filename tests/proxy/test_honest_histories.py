"""Random conversations with retries, rewinds, forks, compaction and subagents are recorded exactly."""

import json
import random

import pytest
from factories import make_recorded_session

from models import Event
from tests.proxy.upstream import MESSAGE, MESSAGES, RESPONSES, documents, event, streams
from tests.rules.agents import messages, responses_items

SEEDS = range(25)
STEPS = 8
COMPACTED = "This session is being continued from a previous conversation. The summary is below:\n"


class ClaudeCode:
    path = MESSAGES
    headers = {"User-Agent": "claude-cli/2.1.197 (external, cli)"}
    session_header, agent_header = "X-Claude-Code-Session-Id", "X-Claude-Code-Agent-Id"
    compaction = (
        "CRITICAL: Respond with TEXT ONLY. Do NOT call any tools.\n\n"
        "Your task is to create a detailed summary of the conversation so far."
    )
    prompt, answer = messages.user, messages.assistant

    @staticmethod
    def call(call_id, command):
        return messages.call(call_id, "Bash", command=command)

    @staticmethod
    def result(call_id, output):
        return messages.user(messages.result(call_id, output, is_error=False))

    stream = staticmethod(lambda document: messages.stream(*document["content"]))

    @staticmethod
    def respond(text, calls):
        thinking = {"type": "thinking", "thinking": f"I think of {text}.", "signature": "x"}
        citation = {"type": "char_location", "cited_text": f"Number {text.split()[1]}.", "document_index": 0}
        content = [thinking, messages.text(text) | {"citations": [citation]}, *calls]
        return MESSAGE | {"content": content}, [messages.assistant(*content)]

    @staticmethod
    def body(history, has_tools=True):
        """Build a request as Claude Code does: it moves the cache mark and the reminder, and drops old thinking."""
        sent = json.loads(json.dumps(history))
        for message in sent[:-1]:
            message["content"] = [block for block in message["content"] if block["type"] != "thinking"]
        sent[0]["content"].insert(0, messages.text(messages.REMINDER))
        sent[-1]["content"][-1]["cache_control"] = {"type": "ephemeral"}
        tools = messages.TOOLS if has_tools else []
        fields = {"model": "claude-haiku-4-5", "max_tokens": 900, "system": messages.SYSTEM, "tools": tools}
        return fields | {"messages": sent}

    @staticmethod
    def compact(summary):
        return [messages.user(COMPACTED + summary)]


class Codex:
    path = RESPONSES
    headers = {"User-Agent": "codex_exec/0.169.0 (Linux; x86_64)", "Originator": "codex_exec"}
    session_header, agent_header = "Session-Id", "Thread-Id"
    compaction = "You are performing a CONTEXT CHECKPOINT COMPACTION."
    prompt = responses_items.user

    @staticmethod
    def call(call_id, command):
        return responses_items.call(call_id, "exec_command", cmd=command)

    @staticmethod
    def result(call_id, output):
        return responses_items.command_result(call_id, output)

    stream = staticmethod(lambda document: responses_items.stream(*document["output"]))

    @staticmethod
    def respond(text, calls):
        reasoning = {"type": "reasoning", "summary": [], "encrypted_content": f"encrypted {text}"}
        output = [reasoning, responses_items.assistant(text), *calls]
        return {"object": "response", "model": "gpt-5", "output": output}, output

    @staticmethod
    def body(history, has_tools=True):
        tools = responses_items.TOOLS if has_tools else []
        return {"model": "gpt-5", "tools": tools, "input": [responses_items.context(), *history]}

    @staticmethod
    def compact(summary):
        return [responses_items.user(responses_items.SUMMARY.replace("Nothing is left to do.", summary))]


class Conversation:
    """A conversation of a tool with the scripted provider, with what must be recorded of it."""

    def __init__(self, tool, call, upstream, seed):
        self.tool, self.send, self.upstream, self.random = tool, call, upstream, random.Random(seed)
        self.is_stream = seed % 2 == 1
        self.history, self.starts = [], []
        self.session, self.sessions = "agent-0", 1
        self.number = 0
        self.prompts, self.answers, self.commands = [], [], []

    def next(self, name):
        self.number += 1
        return f"{name} {self.number}"

    def ask(self, history=None, has_tools=True, calls=(), **headers):
        """Send a history, and return the answer's text and items."""
        text = self.next("Answer")
        document, items = self.tool.respond(text, calls)
        parts = list(map(event, self.tool.stream(document))) if self.is_stream else []
        self.upstream.respond = streams(parts) if parts else documents(200, document)
        headers = self.tool.headers | {self.tool.session_header: self.session} | headers
        body = json.dumps(self.tool.body(self.history if history is None else history, has_tools))
        for _ in range(self.random.choice([1, 1, 2])):  # the second one is a retry
            assert self.send(self.tool.path, data=body, headers=headers).status_code == 200
        return text, items

    def turn(self):
        """The person writes a prompt, and the model runs up to two commands."""
        prompt = self.next("Prompt")
        self.prompts.append(prompt)
        self.starts.append(len(self.history))
        self.history.append(self.tool.prompt(prompt))
        for number in range(self.random.randrange(3), -1, -1):
            call_id, command = self.next("call").replace(" ", "_"), self.next("echo")
            text, items = self.ask(calls=[self.tool.call(call_id, command)] if number else [])
            self.answers.append(text)
            self.history += items
            if number:
                self.commands.append(command)
                self.history.append(self.tool.result(call_id, f"{command}\n"))

    def rewind(self):
        del self.history[self.random.choice(self.starts) :]
        self.starts = [start for start in self.starts if start < len(self.history)]

    def fork(self):
        self.session = f"agent-{self.sessions}"
        self.sessions += 1

    def resume(self):
        """Continue an earlier session's conversation in the latest one's history."""
        self.session = f"agent-{self.random.randrange(self.sessions)}"

    def compact(self):
        text, _ = self.ask([*self.history, self.tool.prompt(self.tool.compaction)], has_tools=False)
        self.history, self.starts = self.tool.compact(text), [1]

    def subagent(self):
        self.ask(
            [self.tool.prompt(self.next("Task"))],
            **{self.tool.agent_header: self.next("agent").replace(" ", "_")},
        )

    def play(self):
        self.turn()
        for _ in range(STEPS):
            step = self.random.choice([self.rewind, self.fork, self.resume, self.compact, self.subagent])
            if self.random.random() < 0.5 and self.starts:
                step()
            self.turn()


@pytest.fixture
def session(key):
    return make_recorded_session(key)


def recorded(session, kind, field):
    rows = Event.select().where(Event.session == session, Event.kind == kind).order_by(Event.seq)
    return [json.loads(row.envelope)["data"].get(field) for row in rows]


@pytest.mark.slow
@pytest.mark.parametrize("tool", [ClaudeCode, Codex])
@pytest.mark.parametrize("seed", SEEDS)
def test_an_honest_conversation_is_recorded_exactly(call, upstream, session, reviewer, tool, seed):
    conversation = Conversation(tool, call, upstream, seed)
    conversation.play()
    integrity = f"/v1/sessions/{session.id}/integrity"
    assert reviewer.get(integrity).json["findings"] == []
    assert sorted(recorded(session, "prompt", "text")) == sorted(conversation.prompts)
    assert sorted(recorded(session, "command", "command")) == sorted(conversation.commands)
    answers = recorded(session, "ai_response", "lastAssistantMessage")
    assert sorted(filter(None, answers)) == sorted(conversation.answers)

    rewritten = json.dumps(conversation.history).replace(conversation.answers[-1], "The candidate did this.")
    conversation.ask(json.loads(rewritten))
    (finding,) = reviewer.get(integrity).json["findings"]
    assert (finding["code"], finding["count"]) == ("history_rewritten", 1)
