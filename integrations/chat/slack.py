"""Slack's incoming webhooks. The URL is the credential and fixes the channel."""

from typing import Any

from rules.delivery.retries import WebhookResponse

HOSTS = ("hooks.slack.com",)
# Slack's texts for URLs that will never work again.
GONE_TEXTS = ("no_service", "channel_not_found", "channel_is_archived")
FINAL_STATUSES = (400, 403)


def compose(summary: str, links: list[tuple[str, str]]) -> dict[str, Any]:
    """Build a message.

    summary -- the notification's text, above the links
    links -- texts and URLs; a single one becomes a button
    """
    summary = _escape(summary)
    blocks = [_section(summary)]
    if len(links) == 1:
        ((text, url),) = links
        button = {"type": "button", "text": {"type": "plain_text", "text": text}, "url": url}
        blocks.append({"type": "actions", "elements": [button]})
    else:
        blocks += [_section(f"<{url}|{_escape(text)}>") for text, url in links]
    return {"text": summary, "blocks": blocks}


def is_gone(response: WebhookResponse) -> bool:
    """Return whether the channel or its URL no longer exists."""
    return response.status in (404, 410) or (response.body or "").strip() in GONE_TEXTS


def is_final(response: WebhookResponse) -> bool:
    """Return whether sending this message again would fail, too."""
    return response.status in FINAL_STATUSES


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _escape(text: str) -> str:
    """Escape text. Otherwise `<!channel>` would notify everyone."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
