"""Requests to an application with rate limits (the fixture `limited`)."""

from callers import Caller

PUBLIC = "/v1/cli/version-check?version=1.10.0"
KEYS = [f"PST-AAAA-AAA{letter}" for letter in "ABCD"]


def on(app, caller):
    """The same caller at another application."""
    return Caller(app, **caller.headers)


def statuses(caller, times, path="/v1/me"):
    return [caller.request("GET", path).status_code for _ in range(times)]


def redeem(caller, *keys):
    return [caller.post("/v1/candidate/redeem", {"key": key}).status_code for key in keys]


def guess(app, addresses):
    """The statuses of requests with different made-up tokens, with these values of X-Forwarded-For."""
    headers = [
        {"Authorization": f"Bearer psk_live_{number:036}", "X-Forwarded-For": address}
        for number, address in enumerate(addresses)
    ]
    return [status for sent in headers for status in statuses(Caller(app, **sent), 1)]
