"""A stand-in for Slack's incoming webhooks."""

import re
import secrets
from typing import Any
from urllib.parse import urlsplit

from tests.integrations.stand_in import Reply, Request, StandIn

MAX_BLOCKS, MAX_SECTION_CHARACTERS = 50, 3000
LINK = re.compile(r"<https?://[^<>]*>")
# In the text without links.
NOT_ESCAPED = re.compile(r"&(?!amp;|lt;|gt;)|[<>]")
MENTION = re.compile(r"<[!@#]")


class SlackServer(StandIn):
    """Channels by path. A channel accepts a message a second."""

    HOSTS = ("hooks.slack.com",)
    SECONDS_BETWEEN_MESSAGES = 1

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.channels: dict[str, list[tuple[float, dict[str, Any]]]] = {}

    def add_channel(self) -> str:
        """Return the URL of a new channel, on the vendor's host."""
        path = f"/services/T{secrets.token_hex(5)}/B{secrets.token_hex(5)}/{secrets.token_hex(12)}"
        self.channels[path] = []
        return f"https://{self.HOSTS[0]}{path}"

    def messages(self, url: str) -> list[dict[str, Any]]:
        return [message for _, message in self.channels[urlsplit(url).path]]

    def texts(self, url: str) -> list[str]:
        """Return everything that the channel's readers can see, one string for each message."""
        return ["\n".join(strings(message)) for message in self.messages(url)]

    def operation_of(self, request: Request) -> str | None:
        is_webhook = request.method == "POST" and request.path.startswith("/services/")
        return "message" if is_webhook else None

    def perform(self, operation: str, request: Request) -> Reply:
        with self.lock:
            if request.path not in self.channels:
                return Reply(404, "no_service")
            self.require("authorization" not in request.headers, "The message has an Authorization.")
            self.require(not request.query, "The message has parameters.")
            message = self.read_json(request)
            self._check(message)
            earlier = self.channels[request.path]
            if earlier:
                seconds = self.now() - earlier[-1][0]
                # The caller measures from its own start.
                self.require(
                    seconds >= 0.9 * self.SECONDS_BETWEEN_MESSAGES, f"Two messages in {seconds:.2f} seconds."
                )
            earlier.append((self.now(), message))
            return Reply(200, "ok")

    def _check(self, message: dict[str, Any]) -> None:
        self.check_fields("The message", message, ["text"], ["blocks"])
        self.require(isinstance(message.get("text"), str) and message["text"].strip(), "There is no text.")
        blocks = message.get("blocks", [])
        self.require(len(blocks) <= MAX_BLOCKS, f"There are {len(blocks)} blocks.")
        for text in [message.get("text", ""), *marked_down(blocks)]:
            self.require(len(text) <= MAX_SECTION_CHARACTERS, f"A text has {len(text)} characters.")
            self.require(not MENTION.search(text), f"A text can mention: {text!r}.")
            self.require(not NOT_ESCAPED.search(LINK.sub("", text)), f"A text is not escaped: {text!r}.")
        for block in blocks:
            self.require(block.get("type") in ("section", "actions"), f"A block is {block.get('type')!r}.")
        for button in buttons(blocks):
            self.require(button.get("url", "").startswith(("http://", "https://")), "A button has no link.")
            self.require(button.get("text", {}).get("type") == "plain_text", "A button's text is not plain.")


def buttons(blocks: Any) -> list[dict[str, Any]]:
    """Return all buttons in blocks."""
    if isinstance(blocks, list):
        return [button for block in blocks for button in buttons(block)]
    if not isinstance(blocks, dict):
        return []
    found = [blocks] if blocks.get("type") == "button" else []
    return found + [button for value in blocks.values() for button in buttons(value)]


def marked_down(blocks: Any) -> list[str]:
    """Return all texts in Slack's markup."""
    if isinstance(blocks, list):
        return [text for block in blocks for text in marked_down(block)]
    if not isinstance(blocks, dict):
        return []
    found = [blocks["text"]] if blocks.get("type") == "mrkdwn" else []
    return found + [text for value in blocks.values() for text in marked_down(value)]


def strings(value: Any) -> list[str]:
    """Return all strings in a JSON value."""
    if isinstance(value, str):
        return [value]
    children = value if isinstance(value, list) else value.values() if isinstance(value, dict) else ()
    return [text for child in children for text in strings(child)]
