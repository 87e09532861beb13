"""Compress large responses for clients that accept gzip.

Never compress responses that contain keys or tokens. An attacker who can add text to such a response could infer its
secrets from the compressed size (BREACH).
"""

import gzip
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from typing import Any

from flask import Response, make_response, request

LEVEL = 1  # Higher levels take several times as long and compress JSON only slightly better.
MIN_BYTES = 2_000
_GZIP = 31  # zlib's window size for gzip


def with_compression(view: Callable) -> Callable:
    """Compress a view's successful responses. Apply it above `etags.with_etag`."""

    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Response:
        response = make_response(view(*args, **kwargs))
        response.vary.add("Accept-Encoding")
        if not request.accept_encodings["gzip"]:
            return response
        tag, _ = response.get_etag()
        if tag:
            # A strong tag would promise identical bytes with and without compression.
            response.set_etag(tag, weak=True)
        if response.status_code == 200:
            _compress(response)
        return response

    return wrapper


def _compress(response: Response) -> None:
    if response.is_streamed:
        response.response = _compress_chunks(response.response)
    elif len(body := response.get_data()) >= MIN_BYTES:
        response.set_data(gzip.compress(body, LEVEL, mtime=0))
    else:
        return
    response.headers["Content-Encoding"] = "gzip"


def _compress_chunks(chunks: Iterable[Any]) -> Iterator[bytes]:
    compressor = zlib.compressobj(LEVEL, wbits=_GZIP)
    for chunk in chunks:
        # Flush so clients can decompress each chunk on arrival.
        yield compressor.compress(chunk) + compressor.flush(zlib.Z_SYNC_FLUSH)
    yield compressor.flush()
