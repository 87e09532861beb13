"""A scenario's steps: the user's prompts, the model's answers, and the tools' outcomes.

    conversation = [
        Prompt("Fix add in calc.py."),
        Answer("I'll read it first.", Call("Read", {"file_path": "calc.py"}, Event("file_read", path="calc.py"))),
        Answer("It subtracts. That's the bug."),
    ]

The scripted provider sends the answers, the agent executes the calls, and the service must record the events.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

# Part of Claude Code's request for a summary, which replaces the conversation.
COMPACTION = "Your task is to create a detailed summary"


class Event:
    """An event that the service records. `data` has the fields that must be equal."""

    def __init__(self, kind: str, **data: Any):
        self.kind, self.data = kind, data


class Prompt(NamedTuple):
    """The user's input."""

    text: str


class Call:
    """A tool call, and its outcome's events.

    arguments -- an object, a text (OpenAI's custom tools), or a function of the request's text
    conversation -- the subagent's, if the call starts one
    continues -- the call that started the command whose outcome this call reports
    """

    def __init__(
        self,
        name: str,
        arguments: Any,
        *outcome: Event,
        conversation: "Conversation | None" = None,
        continues: "Call | None" = None,
    ):
        self.name, self.arguments, self.outcome, self.continues = name, arguments, outcome, continues
        self.conversation, self.id = conversation or [], ""


class Answer:
    """A response of the model: a text, tool calls, or both.

    rejected_with -- the status of the first attempt's response, such as 529
    never_ends -- the stream stays open after the text until the client disconnects
    """

    def __init__(
        self, text: str | Call, *calls: Call, rejected_with: int | None = None, never_ends: bool = False
    ):
        self.text = text if isinstance(text, str) else ""
        self.calls = list(calls if isinstance(text, str) else (text, *calls))
        self.rejected_with, self.never_ends = rejected_with, never_ends


Conversation = list[Prompt | Answer]


class Script:
    """A conversation and its subagents' conversations. Gives each call its id."""

    def __init__(self, name: str, conversation: Conversation):
        self.conversations = list(_with_subagents(conversation))
        for number, call in enumerate(self.calls()):
            call.id = f"call_{name}_{number:03}"

    def answers(self) -> Iterator[Answer]:
        for conversation in self.conversations:
            yield from (step for step in conversation if isinstance(step, Answer))

    def calls(self) -> Iterator[Call]:
        for answer in self.answers():
            yield from answer.calls

    def next_answer(self, end: "End") -> Answer | None:
        """Find the answer to a request's last prompt or, without one, to its tool outcomes."""
        steps = [pair for conversation in self.conversations for pair in pairwise(conversation)]
        prompts = [(step.text, answer) for step, answer in steps if isinstance(step, Prompt)]
        for text in reversed(end.texts):
            answers = [answer for prompt, answer in prompts if prompt == text.strip()]
            if answers:
                # A prompt can be repeated.
                return answers[end.earlier_texts.count(text)]
        outcomes = [answer for step, answer in steps if isinstance(step, Answer) and end.has_outcome_of(step)]
        return outcomes[0] if outcomes else None


class End(NamedTuple):
    """The end of a request's conversation, after the model's last answer.

    tool_ids -- the ids of the calls with an outcome
    texts -- the user messages, including texts that the agent adds
    earlier_texts -- the user messages before the model's last answer
    """

    tool_ids: set[str]
    texts: list[str]
    earlier_texts: list[str]

    @property
    def asks_for_summary(self) -> bool:
        return any(COMPACTION in text for text in self.texts)

    def has_outcome_of(self, answer: Answer) -> bool:
        return any(call.id in self.tool_ids for call in answer.calls)


def _with_subagents(conversation: Conversation) -> Iterator[Conversation]:
    yield conversation
    for step in conversation:
        for call in step.calls if isinstance(step, Answer) else ():
            if call.conversation:
                yield from _with_subagents(call.conversation)
