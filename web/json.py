"""Strict JSON in, fast JSON out: the request parser and the JSON provider (R24, R27)."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import wraps
from itertools import chain, islice
from math import inf
from typing import Any, NoReturn

import marshmallow as ma
import orjson
from flask import Request, Response, current_app, g, request
from flask.json.provider import DefaultJSONProvider
from webargs.flaskparser import FlaskParser
from webargs.multidictproxy import MultiDictProxy
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

from errors import ApiError, BatchTooLarge, Invalid, TooManyValues, invalid
from rules.lenient_json import flatten, parse_json
from web.unknown_names import check_body, reject_fields
from web.value_limit import MAX_VALUES, find_excess

MAX_DEPTH = 32
MAX_BODY_BYTES = 1024 * 1024
MAX_EVENT_BYTES = 16 * 1024 * 1024
MAX_DETAILS = 100  # per response, because a small body can contain hundreds of thousands of invalid values
MAX_BATCH_VALUES = 200_000  # across all entries; MAX_VALUES applies to each entry
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
# Only these numbers can exceed 64 bits or a float: at least 19 digits, or an exponent of at least three digits.
_HUGE_NUMBER = re.compile(r"[0-9](?:[0-9]{18}|[eE]\+?[0-9]{3})")
_INT64 = range(-(2**63), 2**63)
_PUNCTUATION = re.compile(r"[ \t\n\r]*([\[{:,]?)[ \t\n\r]*")
NOT_AN_OBJECT = "The body must be a JSON object."
INCOMPLETE = "The request body is incomplete."
TOO_DEEP = f"The body is nested more than {MAX_DEPTH} levels deep."


class NotJson(ApiError):
    """400: the body is not one strict JSON object (R27)."""

    reason = "invalid_json"
    message = "The body is not valid JSON."


def body_limit(max_bytes: int) -> Callable:
    """Accept a body of up to `max_bytes` instead of 1 MiB."""

    def decorate(view: Callable) -> Callable:
        @wraps(view)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            request.max_content_length = max_bytes
            return view(*args, **kwargs)

        return wrapper

    return decorate


def parse_and_load(schema: ma.Schema, text: str) -> tuple[dict, dict]:
    """Parse `text` strictly and validate it. Returns the object as sent and as loaded by the schema.

    Raises NotJson, TooManyValues, Invalid or marshmallow's ValidationError.
    """
    fields = _parse_object(text, getattr(schema, "verbatim", ()), MAX_VALUES)
    return fields, schema.load(fields)


def parse_object(body: bytes, verbatim: tuple[str, ...] = (), max_values: int = MAX_VALUES) -> dict:
    """Parse the JSON object in `body` (R27). Raises NotJson, TooManyValues or Invalid.

    verbatim -- fields that are stored as sent, and can contain NUL, lone surrogates and numbers of any size
    """
    return _parse_object(decode(body), verbatim, max_values)


def _parse_object(text: str, verbatim: tuple[str, ...], max_values: int, is_lenient: bool = False) -> dict:
    if find_excess(text, max_values) is not None:
        raise TooManyValues(f"The JSON has more than {max_values} values.")
    value = _parse_leniently(text) if is_lenient else _parse(text)
    if not isinstance(value, dict):
        raise NotJson(NOT_AN_OBJECT)
    if is_lenient:
        return value
    # Check each value only if the document can contain an invalid one.
    if "\\u" in text or text.count("{") + text.count("[") > MAX_DEPTH or _HUGE_NUMBER.search(text):
        _check_values(value, [], False, verbatim)
    return value


def decode(body: bytes) -> str:
    """Decode a body. Raises NotJson unless it is UTF-8 without a byte-order mark."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise NotJson("The body is not valid UTF-8.") from None
    if text.startswith("\ufeff"):
        raise NotJson("The body starts with a byte-order mark. Send UTF-8 without one.")
    return text


def _parse(text: str) -> Any:
    try:
        return STRICT.decode(text)
    except RecursionError:
        raise NotJson(TOO_DEEP) from None
    except json.JSONDecodeError:
        raise NotJson() from None
    except ValueError:
        # Python rejects integers of more than 4,300 digits.
        raise NotJson("A number in the body has too many digits.") from None


def _parse_leniently(text: str) -> Any:
    """Parse any JSON. Values nested more than MAX_DEPTH levels deep, and huge integers, become strings."""
    try:
        return parse_json(flatten(text, MAX_DEPTH))
    except (ValueError, RecursionError):
        raise NotJson() from None


def _unique_fields(pairs: list[tuple[str, Any]]) -> dict:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise NotJson("An object in the body contains the same field twice.")
    return fields


def _reject_constant(name: str) -> None:
    raise NotJson(f"{name} is not a JSON number.")


STRICT = json.JSONDecoder(object_pairs_hook=_unique_fields, parse_constant=_reject_constant)
# Finds the end of a value. Integers are kept as strings, so their length does not matter.
LENIENT = json.JSONDecoder(parse_int=str)


def _check_values(node: dict | list, path: list, is_verbatim: bool, verbatim: tuple[str, ...]) -> None:
    """Check every value in `node`, which is at `path`. For verbatim values, check only the depth."""
    if len(path) >= MAX_DEPTH:
        raise NotJson(TOO_DEEP)
    for name, child in node.items() if isinstance(node, dict) else enumerate(node):
        is_exempt = is_verbatim or (not path and name in verbatim)
        if not is_exempt:
            _check_scalar(name, path)
        path.append(name)
        if isinstance(child, (dict, list)):
            _check_values(child, path, is_exempt, verbatim)
        elif not is_exempt:
            _check_scalar(child, path)
        path.pop()


def _check_scalar(value: Any, path: list) -> None:
    if isinstance(value, str):
        if UNSTORABLE.search(value):
            raise invalid(path, "Must not contain NUL characters or lone surrogates.")
    elif (isinstance(value, int) and value not in _INT64) or value in (inf, -inf):
        raise invalid(path, "This number is out of range.")


def split_batch(text: str, name: str, max_entries: int) -> tuple[list[str], str]:
    """Split an array like `split_array`, but raise TooManyValues above MAX_BATCH_VALUES."""
    excess = find_excess(text, MAX_BATCH_VALUES)
    if excess is None:
        return split_array(text, name, max_entries)
    # BatchTooLarge takes precedence, and the part within the limit is cheap to parse.
    with suppress(NotJson):
        split_array(text[:excess], name, max_entries)
    raise TooManyValues(f"The JSON has more than {MAX_BATCH_VALUES} values.")


def split_array(text: str, name: str, max_entries: int) -> tuple[list[str], str]:
    """Split the array field `name` of the JSON object in `text`.

    Returns the JSON of each entry, and `text` with an empty array. Checks only the array's punctuation; the caller
    parses the results strictly. Raises BatchTooLarge for more than `max_entries`.
    """
    try:
        start = _find_field(text, name)
        entries, end = _split_array_at(text, start, max_entries)
    except RecursionError:
        raise NotJson(TOO_DEEP) from None
    except ValueError:
        raise NotJson() from None
    return entries, f"{text[:start]}[]{text[end:]}"


def _find_field(text: str, name: str) -> int:
    """Find the position of array field `name` in the outermost object."""
    mark, at = _match_punctuation(text, 0)
    if mark != "{":
        raise NotJson(NOT_AN_OBJECT)
    while not text.startswith("}", at):
        field, at = LENIENT.raw_decode(text, at)
        _, at = _match_punctuation(text, at)
        if field == name and text.startswith("[", at):
            return at
        _, at = _match_punctuation(text, LENIENT.raw_decode(text, at)[1])
    raise invalid(name, "Must be a list.")


def _split_array_at(text: str, at: int, max_entries: int) -> tuple[list[str], int]:
    """Split the array at `at`. Return its entries and the position after it."""
    entries: list[str] = []
    _, at = _match_punctuation(text, at)
    while not text.startswith("]", at):
        if len(entries) == max_entries:
            raise BatchTooLarge(f"A batch can contain at most {max_entries} entries. Send several batches.")
        start, at = at, LENIENT.raw_decode(text, at)[1]
        entries.append(text[start:at])
        mark, at = _match_punctuation(text, at)
        if mark != ("" if text.startswith("]", at) else ","):
            raise NotJson()
    return entries, at + 1


def _match_punctuation(text: str, at: int) -> tuple[str, int]:
    """Return the punctuation at `at`, if any, and the position of the next value."""
    match = _PUNCTUATION.match(text, at)
    assert match is not None  # The pattern matches an empty string.
    return match[1], match.end()


class Parser(FlaskParser):
    """webargs' parser with strict JSON and this API's error format."""

    DEFAULT_VALIDATION_STATUS = 400
    # None leaves unknown names to the schemas, which ignore them. check_body() runs first (R35).
    DEFAULT_UNKNOWN_BY_LOCATION: dict[str, str | None] = {"json": None, "query": None}

    def load_json(self, req: Request, schema: Any) -> Any:
        encoding = req.headers.get("Content-Encoding", "identity").lower()
        if req.mimetype != "application/json" or encoding != "identity":
            raise UnsupportedMediaType()
        text = decode(read_body(req, retains=False))
        if name := getattr(schema, "split_list", None):
            # The view parses each entry, so one invalid entry does not reject the batch.
            entries, rest = split_batch(text, name, schema.max_entries)
            parse_object(rest.encode())
            return {name: entries}
        max_values = getattr(schema, "max_values", MAX_VALUES)
        verbatim, is_lenient = getattr(schema, "verbatim", ()), getattr(schema, "is_lenient", False)
        g.text, g.body = text, _parse_object(text, verbatim, max_values, is_lenient)
        check_body(schema, g.body)
        return g.body

    def load_querystring(self, req: Request, schema: Any) -> Any:
        try:
            arguments = req.args
        except UnicodeDecodeError:
            raise invalid([], "The query must be percent-encoded UTF-8.") from None
        for name, value in arguments.items(multi=True):
            if UNSTORABLE.search(name) or UNSTORABLE.search(value):
                raise invalid(UNSTORABLE.sub("\ufffd", name), "Must not contain NUL characters.")
        return MultiDictProxy(arguments, schema)

    def handle_error(self, error: Any, req: Any, schema: Any, **kwargs: Any) -> NoReturn:
        # webargs groups messages by location (json, query), which is not part of the path.
        details = chain.from_iterable(flatten_messages(messages) for messages in error.messages.values())
        raise Invalid(details=list(islice(details, MAX_DETAILS)))


def read_body(req: Request, retains: bool = True) -> bytes:
    """Read the body. Raises 413 if it exceeds the operation's limit, 400 if it is incomplete.

    retains -- true to keep the body in memory for repeated reads
    """
    limit = req.max_content_length or MAX_BODY_BYTES
    # Werkzeug silently truncates a chunked body at its limit: an extra byte reveals a body over the limit.
    req.max_content_length = limit + 1
    try:
        body = req.get_data(cache=retains)
    except RequestEntityTooLarge:
        raise
    except Exception:
        # gunicorn's errors for bad chunks and disconnected clients have no common base class.
        raise NotJson(INCOMPLETE) from None
    if len(body) > limit:
        raise RequestEntityTooLarge()
    if req.content_length not in (None, len(body)):
        raise NotJson(INCOMPLETE)
    return body


def reject_body() -> None:
    """Reject body fields for an operation without a body (R35). Ignores a body that is not a JSON object."""
    if request.mimetype == "application/json":
        with suppress(NotJson, TooManyValues):
            reject_fields(parse_object(read_body(request)))


def flatten_messages(messages: Any, path: tuple = ()) -> Iterator[dict]:
    """Flatten marshmallow's nested messages to `{"path": [...], "message": "..."}`."""
    if isinstance(messages, dict):
        for name, inner in messages.items():
            yield from flatten_messages(inner, path if name == "_schema" else (*path, name))
    elif isinstance(messages, list):
        for inner in messages:
            yield from flatten_messages(inner, path)
    else:
        yield {"path": list(path), "message": str(messages)}


def get_messages(error: ApiError | ma.ValidationError) -> list[str]:
    """Return an error's messages, such as `ts: This is not an RFC 3339 time.`"""
    if isinstance(error, ApiError) and not error.details:
        return [error.message]
    details = (
        error.details
        if isinstance(error, ApiError)
        else islice(flatten_messages(error.messages), MAX_DETAILS)
    )
    return [f"{'.'.join(map(str, detail['path']))}: {detail['message']}" for detail in details or ()]


class JSONProvider(DefaultJSONProvider):
    """Writes responses with orjson; Parser reads requests."""

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        return orjson.dumps(obj).decode()

    def response(self, *args: Any, **kwargs: Any) -> Response:
        # Flask's method would copy the response several times; a long session's analytics can be tens of megabytes.
        body = orjson.dumps(args[0] if args else kwargs, option=orjson.OPT_APPEND_NEWLINE)
        return current_app.response_class(body, mimetype=self.mimetype)


def strip_leading_slashes(application: Callable) -> Callable:
    """Wrap a WSGI application: serve `//v1/...` as `/v1/...`."""

    def wrapper(environ: dict[str, Any], start_response: Callable) -> Any:
        environ["PATH_INFO"] = "/" + environ.get("PATH_INFO", "").lstrip("/")
        return application(environ, start_response)

    return wrapper
