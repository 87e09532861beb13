"""Requests to an application with rate limits."""

from callers import Caller

PUBLIC = "/v1/cli/version-check?version=1.10.0"
KEYS = [f"PST-AAAA-AAA{letter}" for letter in "ABCD"]


def with_app(app, caller):
    """Return a copy of the caller for another application."""
    return Caller(app, **caller.headers)


def statuses(caller, times, path="/v1/me"):
    return [caller.request("GET", path).status_code for _ in range(times)]


def redeem(caller, *keys):
    return [caller.post("/v1/candidate/redeem", {"key": key}).status_code for key in keys]


def guess(app, addresses):
    """Send a different made-up token from each address (X-Forwarded-For) and return the statuses."""
    callers = [
        Caller(app, **{"Authorization": f"Bearer psk_live_{number:036}", "X-Forwarded-For": address})
        for number, address in enumerate(addresses)
    ]
    return [caller.get("/v1/me").status_code for caller in callers]
