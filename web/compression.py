"""Compress large responses for clients that accept gzip.

Only operations whose responses contain no secrets: from the size of a compressed response, an attacker on the
network who can add text to it could guess its other parts (BREACH). Responses with keys or tokens are therefore sent
uncompressed.
"""

import gzip
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from typing import Any

from flask import Response, make_response, request

LEVEL = 1  # Higher levels take several times as long, and save little of JSON.
MIN_BYTES = 2_000
_GZIP = 31  # zlib's window size of gzip


def compressed(view: Callable) -> Callable:
    """Compress the successful responses of a view, streamed ones chunk by chunk. Goes above `etags.with_etag`."""

    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Response:
        response = make_response(view(*args, **kwargs))
        response.vary.add("Accept-Encoding")
        if not request.accept_encodings["gzip"]:
            return response
        tag, _ = response.get_etag()
        if tag:
            # A strong tag would promise the same bytes as without compression.
            response.set_etag(tag, weak=True)
        if response.status_code == 200:
            _compress(response)
        return response

    return wrapper


def _compress(response: Response) -> None:
    if response.is_streamed:
        response.response = _packed(response.response)
    elif len(body := response.get_data()) >= MIN_BYTES:
        response.set_data(gzip.compress(body, LEVEL, mtime=0))
    else:
        return
    response.headers["Content-Encoding"] = "gzip"


def _packed(chunks: Iterable[Any]) -> Iterator[bytes]:
    packer = zlib.compressobj(LEVEL, wbits=_GZIP)
    for chunk in chunks:
        # Flushed, so that clients can read each chunk when it arrives.
        yield packer.compress(chunk) + packer.flush(zlib.Z_SYNC_FLUSH)
    yield packer.flush()
