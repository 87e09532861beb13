"""Hostile and malformed input. JSON values are raw bytes, because some are not valid JSON."""

DEEP = 10_000
LONG = 70_000
SOME_ID = "01978f2e-7c1a-7a4e-9d57-1f3f7f8b7a01"

# Field values that are valid JSON.
JSON_VALUES: dict[str, bytes] = {
    "null": b"null",
    "true": b"true",
    "zero": b"0",
    "negative": b"-1",
    "fraction": b"1.5",
    "whole fraction": b"1.0",
    "beyond 32 bits": b"2147483648",
    "beyond 64 bits": b"9223372036854775808",
    "below 64 bits": b"-9223372036854775809",
    "400 digits": b"9" * 400,
    "beyond a float": b"1e400",
    "below a float": b"-1e400",
    "rounded to zero": b"1e-400",
    "empty string": b'""',
    "blank string": rb'" \t\u00a0\u3000"',
    "digits as string": b'"1"',
    "arabic digits": '"\u0661\u0662"'.encode(),
    "NUL": rb'"a\u0000b"',
    "lone surrogate": rb'"\ud800"',
    "surrogates in the wrong order": rb'"\udc00\ud800"',
    "control characters": rb'"a\u0001\u001b[31m\u007f\u0085"',
    "header injection": rb'"a\r\nBcc: mallory@example.com"',
    "emoji": '"\U0001f469\u200d\U0001f4bb\U0001f3f4"'.encode(),
    "right to left": '"\u202egpj.exe \u0627\u0644"'.encode(),
    "combining": ('"' + "e\u0301" * 300 + '"').encode(),
    "long string": b'"' + b"x" * LONG + b'"',
    "long string without spaces or dots": b'"' + b"a@" * 2000 + b'"',
    "quotes": rb'"\"\u0027; DROP TABLE events; -- %s {0} {{7*7}} ${7*7}"',
    "path": b'"../../../etc/passwd"',
    "formula": b'"=1+1"',
    "URL without host": b'"http://"',
    "URL with broken host": b'"https://[::1"',
    "URL with unusual host": '"https://\u2100.example/"'.encode(),
    "not a UUID": b'"not-a-uuid"',
    "UUID in capitals": f'"{SOME_ID.upper()}"'.encode(),
    "UUID in braces": f'"{{{SOME_ID}}}"'.encode(),
    "empty object": b"{}",
    "object": rb'{"a": {"b": "\u0000"}, "length": 1, "id": 1}',
    "empty list": b"[]",
    "list of null": b"[null]",
    "list of everything": rb'[1, "1", "\u0000", 1.5, true, {}, []]',
    "list of 1,000": b"[" + b",".join([b'"x"'] * 1000) + b"]",
}

# Field values that are not strict JSON.
INVALID_JSON_VALUES: dict[str, bytes] = {
    "5,000 digits": b"9" * 5000,
    "NaN": b"NaN",
    "Infinity": b"-Infinity",
    "hexadecimal": b"0x10",
    "leading zero": b"007",
    "raw NUL": b'"a\x00b"',
    "raw line feed": b'"a\nb"',
    "surrogate as UTF-8": b'"\xed\xa0\x80"',
    "invalid UTF-8": b'"\xff\xfe"',
    "overlong UTF-8": b'"\xc0\x80"',
    "field twice": b'{"a": 1, "a": 1}',
    "33 levels": b"[" * 33 + b"]" * 33,
    "10,000 lists": b"[" * DEEP + b"]" * DEEP,
    "10,000 objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "10,000 lists that never close": b"[" * DEEP,
    "nothing": b"",
    "two values": b"1, 2",
}

# Percent-encoded query parameters.
QUERY_VALUES: tuple[str, ...] = (
    "", "%20", "0", "-1", "-9999", "9999", "1.0", "1e3", "0x10", "1_000", "%2B5", "+5", "- 5", "null", "true", "NaN",
    "%D9%A1%D9%A2", "9223372036854775807", "9223372036854775808", "-9223372036854775809", "9" * 100, "9" * 5000,
    "%00", "a%00b", "%FF", "\xff", "%ED%A0%80", "%C0%80", "%", "%zz", "%u0000", "%0d%0aSet-Cookie:%20a=b", "%25", "_",
    "%5C", "%27%20OR%201=1%20--", "%F0%9F%91%A9", "%E2%80%AE", "a;b", "a&a=b", "[]", "x" * 3000, "not-a-uuid",
    SOME_ID.upper(), "PST-ABCD-EFGH", "pst-", "csv", "pending",
)  # fmt: skip

# Decoded path parameters, one byte per character.
INVALID_IDS: tuple[str, ...] = (
    "1", "-1", "0", "null", "undefined", "not-a-uuid", ".", "..", " ", "%", "'", "\\", "*", "9" * 5000, "x" * 100_000,
    "%00", "\x00", "a\x00b", "\xff\xfe", "\xed\xa0\x80", "\xc0\xae", "\r\nX: y", "\xf0\x9f\x91\xa9", "\xe2\x80\xae",
    f"{{{SOME_ID}}}", f"urn:uuid:{SOME_ID}", f"{SOME_ID} ", f"{SOME_ID}%00", SOME_ID[:-1], SOME_ID.replace("-", ""),
)  # fmt: skip

# Complete bodies: (body, headers, expected status).
JSON_TYPE = {"Content-Type": "application/json"}
BODIES: dict[str, tuple[bytes, dict[str, str], int]] = {
    "nothing": (b"", JSON_TYPE, 400),
    "blank": (b" \n", JSON_TYPE, 400),
    "null": (b"null", JSON_TYPE, 400),
    "a number": (b"1", JSON_TYPE, 400),
    "a string": (b'"{}"', JSON_TYPE, 400),
    "a list": (b"[{}]", JSON_TYPE, 400),
    "not JSON": (b"title=x&role=y", JSON_TYPE, 400),
    "single quotes": (b"{'a': 1}", JSON_TYPE, 400),
    "a comment": (b"{} // no comment", JSON_TYPE, 400),
    "two objects": (b"{}{}", JSON_TYPE, 400),
    "a truncated object": (b'{"title": "x', JSON_TYPE, 400),
    "a byte-order mark": (b"\xef\xbb\xbf{}", JSON_TYPE, 400),
    "UTF-16": ('{"title": "x"}'.encode("utf-16"), JSON_TYPE, 400),
    "UTF-32": ('{"title": "x"}'.encode("utf-32-le"), JSON_TYPE, 400),
    "invalid UTF-8": (b'{"\xff": 1}', JSON_TYPE, 400),
    "NUL in a name": (rb'{"a\u0000": 1}', JSON_TYPE, 400),
    "a surrogate in a name": (rb'{"x": {"\udfff": 1}}', JSON_TYPE, 400),
    "an escaped duplicate name": (rb'{"x": 1, "\u0078": 1}', JSON_TYPE, 400),
    "a nested duplicate name": (b'{"x": [[{"y": 1, "y": 2}]]}', JSON_TYPE, 400),
    "33 levels": (b'{"x":' + b"[" * 32 + b"]" * 32 + b"}", JSON_TYPE, 400),
    "10,000 levels": (b'{"x":' * DEEP + b"1" + b"}" * DEEP, JSON_TYPE, 400),
    "a huge number in an unknown field": (b'{"x": 9223372036854775808}', JSON_TYPE, 400),
    "1e400 in an unknown field": (b'{"x": [1e400]}', JSON_TYPE, 400),
    "gzip": (b"\x1f\x8b\x08\x00", JSON_TYPE | {"Content-Encoding": "gzip"}, 415),
    "an unknown encoding": (b"{}", JSON_TYPE | {"Content-Encoding": "gzip, identity"}, 415),
    "no content type": (b"{}", {}, 415),
    "text": (b"{}", {"Content-Type": "text/plain"}, 415),
    "a form": (b"a=b", {"Content-Type": "application/x-www-form-urlencoded"}, 415),
    "a file": (b"--x--", {"Content-Type": "multipart/form-data; boundary=x"}, 415),
    "another JSON": (b"{}", {"Content-Type": "application/vnd.api+json"}, 415),
    "no type at all": (b"{}", {"Content-Type": ";;=,"}, 415),
}

INVALID_CREDENTIALS: tuple[dict[str, str], ...] = (
    {},
    {"Authorization": ""},
    {"Authorization": "Bearer"},
    {"Authorization": "Bearer "},
    {"Authorization": "Bearer psk_live_" + "0" * 36},
    {"Authorization": "Bearer psk_live_" + "\xff" * 36},
    {"Authorization": "Bearer " + "x" * 5000},
    {"Authorization": "Basic YTpi"},
    {"Authorization": 'Digest username="a"'},
    {"Authorization": "Bearer PST-ABCD-EFGH"},
    {"X-API-Key": ""},
    {"X-API-Key": "PST-ABCD-EFGH"},
    {"X-API-Key": "\xff\xfe"},
    {"X-API-Key": "PST-\xdf\xdf-\xdf\xdf"},
    {"X-API-Key": "PST-ABCD-EFGH' OR 1=1 --"},
    {"X-API-Key": "x" * 5000},
)
