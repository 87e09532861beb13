"""Strict JSON in, fast JSON out: the request parser and the JSON provider (R24, R27)."""

import json
import re
from collections.abc import Callable, Iterator
from functools import wraps
from math import inf
from typing import Any, NoReturn

import marshmallow as ma
import orjson
from flask import Request, Response, g, request
from flask.json.provider import DefaultJSONProvider
from webargs.flaskparser import FlaskParser
from webargs.multidictproxy import MultiDictProxy
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

from errors import Invalid, Refusal, invalid

MAX_DEPTH = 32
LONGEST_BODY_BYTES = 1024 * 1024
LONGEST_EVENT_BYTES = 16 * 1024 * 1024
UNWANTED = re.compile("[\x00\ud800-\udfff]")
# What can leave 64 bits or the range of a float: many digits, or an exponent of at least three.
HUGE = re.compile(r"[0-9](?:[0-9]{18}|[eE]\+?[0-9]{3})")
BLANK = re.compile(r"[ \t\n\r]*")
# For cutting out: digits stay text, since Python reads no number of thousands of them.
DECODER = json.JSONDecoder(parse_int=str)
INT64 = range(-(2**63), 2**63)
NOT_WHOLE = "The body did not arrive whole."
NO_OBJECT = "The body must be a JSON object."
TOO_DEEP = f"The body is nested more than {MAX_DEPTH} levels deep."


class NotJson(Refusal):
    """400: the body is not one strict JSON object (R27)."""

    reason = "invalid_json"
    sentence = "The body is not valid JSON."


def body_limit(size: int) -> Callable:
    """Let the operation take a body of up to `size` bytes instead of 1 MiB."""

    def decorate(view: Callable) -> Callable:
        @wraps(view)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            request.max_content_length = size
            return view(*args, **kwargs)

        return wrapper

    return decorate


def strict_object(body: bytes, verbatim: tuple[str, ...] = ()) -> dict:
    """The JSON object in `body`, or NotJson or Invalid with the reason (R27).

    Members named in `verbatim` have no column of their own: they may hold what is otherwise refused in texts (NUL,
    lone surrogates) and numbers of any size.
    """
    text = _decoded(body)
    value = _parsed(text)
    if not isinstance(value, dict):
        raise NotJson(NO_OBJECT)
    # The walk costs more than the parse, so it is made only where the text can hold what it looks for.
    if "\\u" in text or text.count("{") + text.count("[") > MAX_DEPTH or HUGE.search(text):
        _refuse_unwanted(value, [], False, verbatim)
    return value


def _decoded(body: bytes) -> str:
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise NotJson("The body is not valid UTF-8.") from None
    if text.startswith("\ufeff"):
        raise NotJson("The body begins with a byte-order mark; it must be plain UTF-8.")
    return text


def _parsed(text: str) -> Any:
    try:
        return STRICT.decode(text)
    except RecursionError:
        raise NotJson(TOO_DEEP) from None
    except json.JSONDecodeError:
        # It tells where it stumbled in words of the parser.
        raise NotJson() from None
    except ValueError:
        # Python turns no text of more than 4,300 digits into an integer: that would take quadratic time.
        raise NotJson("A number in the body has too many digits.") from None


def _members(pairs: list[tuple[str, Any]]) -> dict:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise NotJson("A member stands twice in one object of the body.")
    return members


def _no_constant(word: str) -> None:
    raise NotJson(f"{word} is not a JSON number.")


# Made once: json.loads() would make one for each body.
STRICT = json.JSONDecoder(object_pairs_hook=_members, parse_constant=_no_constant)


def _refuse_unwanted(node: dict | list, path: list, free: bool, verbatim: tuple[str, ...]) -> None:
    """Look at everything inside `node`, which stands at `path`; where `free`, only at how deep it goes."""
    # The outermost object is the first level. Looking ends here, so a hostile depth never becomes our own.
    if len(path) >= MAX_DEPTH:
        raise NotJson(TOO_DEEP)
    for name, child in node.items() if isinstance(node, dict) else enumerate(node):
        inside = free or (not path and name in verbatim)
        if not inside:
            _refuse_scalar(name, path)
        path.append(name)
        if isinstance(child, (dict, list)):
            _refuse_unwanted(child, path, inside, verbatim)
        elif not inside:
            _refuse_scalar(child, path)
        path.pop()


def _refuse_scalar(node: Any, path: list) -> None:
    if isinstance(node, str):
        if UNWANTED.search(node):
            raise invalid(path, "Text must not contain NUL characters or lone surrogates.")
    elif (isinstance(node, int) and node not in INT64) or node in (inf, -inf):
        raise invalid(path, "This number is out of range.")


def elements(text: str, name: str) -> tuple[list[str], str]:
    """The entries of the array that is the member `name` of the JSON object in `text`, each as the text that it is,
    and the text with an empty array instead.

    Raises NotJson where the text is no JSON object with such an array. The entries are only cut out here.
    """
    try:
        found = [at for member, at in _members_of(text) if member == name]
        if len(found) != 1 or text[found[0]] != "[":
            raise invalid(name, "Must be a list, and there once.")
        entries, end = _cut(text, found[0])
    except RecursionError:
        raise NotJson(TOO_DEEP) from None
    except (ValueError, IndexError):
        raise NotJson() from None
    return entries, f"{text[: found[0]]}[]{text[end:]}"


def _members_of(text: str) -> Iterator[tuple[str, int]]:
    """The members of the object in `text`: name, and where the value begins."""
    if text[_blank(text, 0)] != "{":
        raise NotJson(NO_OBJECT)
    at = _after(text, 0, "{")
    while text[at] != "}":
        name, at = DECODER.raw_decode(text, at)
        if not isinstance(name, str):
            raise NotJson()
        at = _after(text, _blank(text, at), ":")
        yield name, at
        at = _next(text, at, "}")
    if _blank(text, at + 1) != len(text):
        raise NotJson()


def _cut(text: str, at: int) -> tuple[list[str], int]:
    """The entries of the array at `at`, and where it ends."""
    found = []
    at = _after(text, at, "[")
    while text[at] != "]":
        end = DECODER.raw_decode(text, at)[1]
        found.append(text[at:end])
        at = _next(text, at, "]")
    return found, at + 1


def _next(text: str, at: int, end: str) -> int:
    """Where the next entry begins behind the value at `at`, or where the closing bracket stands."""
    at = _blank(text, DECODER.raw_decode(text, at)[1])
    if text[at] == end:
        return at
    at = _after(text, at, ",")
    if text[at] == end:
        raise NotJson()
    return at


def _after(text: str, at: int, mark: str) -> int:
    at = _blank(text, at)
    if text[at] != mark:
        raise NotJson()
    return _blank(text, at + 1)


def _blank(text: str, at: int) -> int:
    found = BLANK.match(text, at)
    return found.end() if found else at


class Parser(FlaskParser):
    """webargs with strict JSON and refusals in the one shape."""

    DEFAULT_VALIDATION_STATUS = 400
    # None leaves the decision to the schemas, which ignore unknown members (R12).
    DEFAULT_UNKNOWN_BY_LOCATION: dict[str, str | None] = {"json": None, "query": None}

    def load_json(self, req: Request, schema: Any) -> Any:
        if (
            req.mimetype != "application/json"
            or req.headers.get("Content-Encoding", "identity").lower() != "identity"
        ):
            raise UnsupportedMediaType()
        body = whole_body(req)
        if name := getattr(schema, "each_by_itself", None):
            # The entries are read one by one later, so that a bad one refuses no other.
            entries, rest = elements(_decoded(body), name)
            strict_object(rest.encode())
            return {name: entries}
        g.body = strict_object(body, getattr(schema, "verbatim", ()))
        return g.body

    def load_querystring(self, req: Request, schema: Any) -> Any:
        try:
            arguments = req.args
        except UnicodeDecodeError:
            raise invalid([], "The query must be percent-encoded UTF-8.") from None
        for name, text in arguments.items(multi=True):
            if UNWANTED.search(name) or UNWANTED.search(text):
                raise invalid(UNWANTED.sub("\ufffd", name), "Text must not contain NUL characters.")
        return MultiDictProxy(arguments, schema)

    def handle_error(self, error: Any, req: Any, schema: Any, **kwargs: Any) -> NoReturn:
        # webargs puts the location (json, query) around the messages; a caller knows where the member stood.
        details = [found for messages in error.messages.values() for found in flatten(messages)]
        raise Invalid(details=details)


def whole_body(req: Request) -> bytes:
    """The body's bytes; 413 where it is longer than the operation takes, 400 where it never arrives whole."""
    limit = req.max_content_length or LONGEST_BODY_BYTES
    # One byte more than the limit, since Werkzeug silently cuts a body of chunks off at what it is told.
    req.max_content_length = limit + 1
    try:
        body = req.get_data()
    except RequestEntityTooLarge:
        raise
    except Exception:
        # What gunicorn raises for a bad chunk has no class in common with what it raises for a client that left.
        raise NotJson(NOT_WHOLE) from None
    if len(body) > limit:
        raise RequestEntityTooLarge()
    if req.content_length not in (None, len(body)):
        raise NotJson(NOT_WHOLE)
    return body


def flatten(messages: Any, path: tuple = ()) -> list[dict]:
    """marshmallow's nested messages as `[{"path": [...], "message": "..."}]`."""
    if isinstance(messages, dict):
        return [
            found
            for name, inner in messages.items()
            for found in flatten(inner, path if name == "_schema" else (*path, name))
        ]
    if isinstance(messages, list):
        return [found for inner in messages for found in flatten(inner, path)]
    return [{"path": list(path), "message": str(messages)}]


def reasons(error: Refusal | ma.ValidationError) -> list[str]:
    """What is wrong, each as one phrase, such as `ts: This is not an RFC 3339 time.`"""
    if isinstance(error, Refusal):
        details, whole = error.details or [], [error.sentence]
    else:
        details, whole = flatten(error.messages), []
    return [f"{'.'.join(map(str, each['path']))}: {each['message']}" for each in details] or whole


class JSONProvider(DefaultJSONProvider):
    """orjson for what goes out; what comes in goes through the Parser."""

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        return orjson.dumps(obj).decode()

    def response(self, *args: Any, **kwargs: Any) -> Response:
        body = orjson.dumps(self._prepare_response_obj(args, kwargs))
        return Response(body + b"\n", mimetype="application/json")


def without_leading_slashes(application: Callable) -> Callable:
    """A WSGI application that serves `//v1/...` as `/v1/...`."""

    def wrapper(environ: dict[str, Any], start_response: Callable) -> Any:
        environ["PATH_INFO"] = "/" + environ.get("PATH_INFO", "").lstrip("/")
        return application(environ, start_response)

    return wrapper
