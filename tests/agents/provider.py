"""A model provider that follows a script, with Anthropic's and OpenAI's APIs.

Each response has a unique request id and unique token counts, which `provider.served` contains for the tests.
"""

import json
import threading
from collections.abc import Iterable
from dataclasses import dataclass

from tests.agents import chat_completions, messages, responses
from tests.agents.script import Answer, Conversation, Script
from tests.proxy.upstream import Exchange, Request, Upstream

DIALECTS = {
    "/v1/messages": messages,
    "/v1/responses": responses,
    "/v1/chat/completions": chat_completions,
}
# The output of a call for a title or a summary.
SIDE_CALL_TOKENS = 9


@dataclass(frozen=True)
class Usage:
    """A response's tokens. `input` excludes cache reads and writes."""

    input: int
    output: int
    cache_read: int
    cache_write: int

    @classmethod
    def of_call(cls, number: int, *, is_side_call: bool, writes_cache: bool) -> "Usage":
        """Return counts that differ for each call, as do their sums."""
        output = SIDE_CALL_TOKENS if is_side_call else 40 + number**2
        return cls(100 + 3 * number, output, 2000 + 7 * number, 50 + number if writes_cache else 0)


@dataclass(frozen=True)
class Served:
    """A sent response. `answer` is None for a side call, such as a title or a summary."""

    request: Request
    path: str
    request_id: str
    model: str
    usage: Usage
    answer: Answer | None

    @property
    def is_complete(self) -> bool:
        return not (self.answer and self.answer.never_ends)


class Provider(Upstream):
    """A provider on this machine.

    served -- every response with usage
    rejected -- ids of the answers whose first attempt was rejected
    unexpected -- requests without an answer in the script
    disconnected -- set when the stream of an answer that never ends was closed
    """

    def __init__(self) -> None:
        super().__init__()
        self.RequestHandlerClass = ModelCall
        self.lock = threading.Lock()
        self.play("empty", [])

    def play(self, name: str, conversation: Conversation) -> None:
        """Start a new script."""
        self.script = Script(name, conversation)
        self.requests.clear()
        self.served: list[Served] = []
        self.rejected: set[int] = set()
        self.unexpected: list[str] = []
        self.disconnected = threading.Event()

    def serve(self, request: Request) -> Served | int:
        """Choose the answer to a request; return a status if it is rejected or unexpected."""
        path, body = path_of(request), json.loads(request.body)
        end = DIALECTS[path].read_end(body)
        is_side_call = not body.get("tools") or end.asks_for_summary
        answer = None if is_side_call else self.script.next_answer(end)
        with self.lock:
            if answer is None and not is_side_call:
                self.unexpected.append(f"{path}: {end.tool_ids} {end.texts}")
                return 400
            if answer and answer.rejected_with and id(answer) not in self.rejected:
                self.rejected.add(id(answer))
                return answer.rejected_with
            writes_cache = path == "/v1/messages"
            usage = Usage.of_call(len(self.served), is_side_call=is_side_call, writes_cache=writes_cache)
            for call in answer.calls if answer else ():
                if callable(call.arguments):
                    call.arguments = call.arguments(json.dumps(body))
            served = Served(request, path, f"req_{len(self.served):04}", body["model"], usage, answer)
            self.served.append(served)
            return served


class ModelCall(Exchange):
    """A request to the provider."""

    server: Provider

    def handle_request(self) -> None:
        request = Request(self.client_address, self.command, self.path, self.headers, self._body())
        self.server.requests.append(request)
        path = path_of(request)
        if path == "/v1/messages/count_tokens":
            self.document(200, b'{"input_tokens": 100}')
        elif path == "/v1/models":
            self.document(200, b'{"object": "list", "data": [], "models": []}')
        elif path in DIALECTS:
            self.answer(request)
        else:
            self.document(404, b"{}")

    do_GET = do_POST = handle_request

    def answer(self, request: Request) -> None:
        served = self.server.serve(request)
        if isinstance(served, int):
            is_error = served in (503, 529)
            error = {"type": "overloaded_error" if is_error else "invalid_request_error", "message": "No."}
            self.document(served, json.dumps({"type": "error", "error": error}).encode())
            return
        answer = served.answer or Answer("<summary>What happened so far.</summary>")
        self.stream(served, DIALECTS[served.path].stream(served, answer), stays_open=answer.never_ends)

    def stream(self, served: Served, chunks: Iterable[bytes], *, stays_open: bool) -> None:
        name = "request-id" if served.path == "/v1/messages" else "x-request-id"
        self.head(
            200, Content_Type="text/event-stream", Transfer_Encoding="chunked", **{name: served.request_id}
        )
        for chunk in chunks:
            self.chunk(chunk)
        if stays_open:
            self.wait_for_disconnect()
            self.server.disconnected.set()
        else:
            self.end_stream()


def path_of(request: Request) -> str:
    return request.target.partition("?")[0]
