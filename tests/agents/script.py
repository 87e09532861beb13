"""The steps of a scenario: what the person asks, what the model answers, and what its tools do.

    conversation = [
        Prompt("Fix add in calc.py."),
        Answer("I'll read it first.", Call("Read", {"file_path": "calc.py"}, Event("file_read", path="calc.py"))),
        Answer("It subtracts. That's the bug."),
    ]

The scripted provider sends the answers, the agent executes the calls, and the service must record the events.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

# Part of Claude Code's request for a summary, which replaces the conversation.
COMPACTION = "Your task is to create a detailed summary"


@dataclass(frozen=True)
class Event:
    """An event that the service records; `data` has the fields that must be equal."""

    kind: str
    data: dict[str, Any]

    def __init__(self, kind: str, **data: Any):
        object.__setattr__(self, "kind", kind)
        object.__setattr__(self, "data", data)


@dataclass(frozen=True)
class Prompt:
    """A text that the person writes."""

    text: str


@dataclass
class Call:
    """A tool call, and the events of its outcome.

    arguments -- an object, a text (OpenAI's custom tools), or a function of the request's text
    conversation -- of the subagent that the call starts
    """

    name: str
    arguments: Any
    outcome: tuple[Event, ...]
    conversation: "Conversation"
    id: str

    def __init__(
        self, name: str, arguments: Any, *outcome: Event, conversation: "Conversation | None" = None
    ):
        self.name, self.arguments, self.outcome = name, arguments, outcome
        self.conversation, self.id = conversation or [], ""


@dataclass
class Answer:
    """One response of the model: a text, tool calls, or both.

    rejected_with -- the status of the first attempt's response, such as 529
    never_ends -- the stream stays open after the text until the client disconnects
    """

    text: str
    calls: list[Call]
    rejected_with: int | None
    never_ends: bool

    def __init__(
        self, text: str | Call, *calls: Call, rejected_with: int | None = None, never_ends: bool = False
    ):
        self.text = text if isinstance(text, str) else ""
        self.calls = list(calls if isinstance(text, str) else (text, *calls))
        self.rejected_with, self.never_ends = rejected_with, never_ends


Conversation = list[Prompt | Answer]


class Script:
    """A conversation and those of its subagents; gives each call its id."""

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
        """The answer to the end of a request: to its prompt or, without one, to the outcomes of tools."""
        steps = [pair for conversation in self.conversations for pair in pairwise(conversation)]
        prompts = [(step.text, answer) for step, answer in steps if isinstance(step, Prompt)]
        for text in reversed(end.texts):
            answers = [answer for prompt, answer in prompts if prompt == text.strip()]
            if answers:
                # The same text may be a prompt several times.
                return answers[end.earlier_texts.count(text)]
        outcomes = [answer for step, answer in steps if isinstance(step, Answer) and end.has_outcome_of(step)]
        return outcomes[0] if outcomes else None


@dataclass(frozen=True)
class End:
    """The end of a request's conversation, after the model's last answer.

    tool_ids -- of the calls whose outcomes it has
    texts -- by the person or by the agent itself
    earlier_texts -- those before the model's last answer
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
