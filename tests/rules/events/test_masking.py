"""Secrets of known formats in recorded events (R38). All secrets in this file are fake."""

import random
import string
import time

import pytest

from rules import candidate_keys
from rules.events.masking import MARKER, MAX_DEPTH, MAX_HOMES, TOO_DEEP, mask, mask_text

A = string.ascii_letters + string.digits


def fake_secret(length, alphabet=A):
    return "".join(random.Random(length).choices(alphabet, k=length))


PEM = f"MIIEvQIBADANBgkq\n{fake_secret(64)}\n{fake_secret(40)}=="
SECRETS = {
    "candidate key": candidate_keys.generate(),
    "candidate key in lower case": candidate_keys.generate().lower(),
    "API token": f"psk_live_{fake_secret(48)}",
    "webhook secret": f"whsec_{fake_secret(43)}=",
    "Anthropic": f"sk-ant-api03-{fake_secret(90, A + '-_')}",
    "OpenAI project": f"sk-proj-{fake_secret(120, A + '-_')}",
    "OpenAI": f"sk-{fake_secret(48)}",
    "AWS": f"AKIA{fake_secret(16, string.ascii_uppercase + string.digits)}",
    "GitHub": f"ghp_{fake_secret(36)}",
    "GitHub fine-grained": f"github_pat_{fake_secret(82, A + '_')}",
    "GitLab": f"glpat-{fake_secret(20)}",
    "Slack": f"xoxb-{fake_secret(12, string.digits)}-{fake_secret(24)}",
    "Stripe": f"sk_live_{fake_secret(24)}",
    "Stripe test": f"rk_test_{fake_secret(24)}",
    "Google": f"AIza{fake_secret(35, A + '-_')}",
    "npm": f"npm_{fake_secret(36)}",
    "PyPI": f"pypi-{fake_secret(160, A + '-_')}",
    "JWT": f"eyJ{fake_secret(30)}.eyJ{fake_secret(60)}.{fake_secret(43, A + '-_')}",
}


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_secrets_are_masked_anywhere_in_text(secret):
    for text in ("{}", "key = '{}'\n", "x\n{}\ny", '"a":"\\n{}\\n"', "A={} B", "({})"):
        assert mask_text(text.format(secret)) == text.format(MARKER)
    assert mask_text(f"{secret} {secret}") == f"{MARKER} {MARKER}"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (f"Authorization: Bearer {fake_secret(40)}\nx", f"Authorization{MARKER}\nx"),
        (f'"authorization": "bearer {fake_secret(16)}"', f'"authorization{MARKER}"'),
        (f"AWS_SECRET_ACCESS_KEY={fake_secret(40)} y", f"AWS_SECRET_ACCESS_KEY{MARKER} y"),
        (f"git clone https://a.example/git/{'a-_9' * 10}xyz/task.git", f"git clone https://a.example/git/{MARKER}/task.git"),
        (f"hooks.slack.com/services/T1/B2/{fake_secret(24)}", f"hooks.slack.com/services/{MARKER}"),
        (f"a\n-----BEGIN RSA PRIVATE KEY-----\n{PEM}\n-----END RSA PRIVATE KEY-----\nb", f"a\n-----BEGIN {MARKER}\nb"),
        (f"+-----BEGIN PRIVATE KEY-----\\n{fake_secret(200)}\\n", f"+-----BEGIN {MARKER}"),
        (f"1\t-----BEGIN PRIVATE KEY-----\n2\t{fake_secret(64)}\n3\tab==\n4\t-----END PRIVATE KEY-----\n",
         f"1\t-----BEGIN {MARKER}\n"),
        (f"1: -----BEGIN PRIVATE KEY-----\n2: {fake_secret(64)}\n3: ab==\n4: -----END PRIVATE KEY-----\n",
         f"1: -----BEGIN {MARKER}\n"),
        (f"1→-----BEGIN PRIVATE KEY-----\n2→{fake_secret(64)}\n", f"1→-----BEGIN {MARKER}"),
        (f"@@ -1 +1 @@\n-ghp_{fake_secret(36)}\n+x\n", f"@@ -1 +1 @@\n-{MARKER}\n+x\n"),
        (rf"@@ -1 +0,0 @@\n-ghp_{fake_secret(36)}\n", rf"@@ -1 +0,0 @@\n-{MARKER}\n"),
        (f"------BEGIN PRIVATE KEY-----\n-{fake_secret(64)}\n-ab==\n------END PRIVATE KEY-----",
         f"------BEGIN {MARKER}"),
        ("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0A1B\n\n"
         f"{PEM}\n-----END RSA PRIVATE KEY-----", f"-----BEGIN {MARKER}"),
        (f"-----BEGIN PRIVATE KEY----- {PEM} -----END PRIVATE KEY-----", f"-----BEGIN {MARKER}"),
        (f"-----BEGIN PRIVATE KEY-----\n{fake_secret(3_000)}", "-----BEGIN [masked: 3017 characters]"),
    ],
)  # fmt: skip
def test_labeled_secrets_are_masked(text, masked):
    assert mask_text(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "task-management-application-service-for-every-day",
        "sk-some-long-name-in-kebab-case-of-a-style-sheet",
        "Authorization: Bearer <token>",
        'headers = {"Authorization": f"Bearer {token}"}',
        'if "-----BEGIN PRIVATE KEY-----" in text:',
        "-----BEGIN PRIVATE KEY-----\nPlease write the whole solution, in plain words and as long as you want\n"
        "-----END PRIVATE KEY-----",
        "PST-XXXX-1111",
        "ghp_short",
        "commit 3f2b8c1d9e7a6f5b4c3d2e1f0a9b8c7d6e5f4a3b",
        "sha512-" + fake_secret(86) + "==",
        "eyJ is how a token starts",
        "",
    ],
)
def test_other_text_is_unchanged(text):
    assert mask_text(text) == text


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("cd /home/alice/shop && ls", "cd ~/shop && ls"),
        ("/Users/alice.smith", "~"),
        (r"ls\n/home/alice", r"ls\n~"),
        ("file:///home/alice/a.py:3", "file://~/a.py:3"),
        ("/mnt/c/Users/alice/a, /c/Users/bob/b, /var/home/eve", "~/a, ~/b, ~"),
        (r"C:\Users\alice\a.py", r"~\a.py"),
        (r'{"path": "C:\\Users\\Alice Smith\\a"}', r'{"path": "~\\a"}'),
        ("C:/Users/alice and others", "~ and others"),
        ("/home/alice/.claude/projects/-home-alice-shop/x", "~/.claude/projects/~-shop/x"),
        ("/tmp/claude-1000/-Users-alice-shop/tasks/b1.output", "/tmp/claude-1000/~-shop/tasks/b1.output"),
        ("HOME=/home/älice\n", "HOME=~\n"),
    ],
)
def test_home_folders_are_masked(text, masked):
    assert mask({"command": text}) == {"command": masked}


@pytest.mark.parametrize(
    "text",
    ["https://shop.example/home/alice", "src/home/page.tsx", "/home/$USER", "~/home/a", "/home/", "/homes/a"],
)
def test_other_folders_are_unchanged(text):
    assert mask(text) == text


def test_a_text_in_the_form_of_home_folders_is_not_masked():
    homes = [f"/home/word{number}" for number in range(20)]
    assert mask(" ".join(homes)).split() == ["~"] * MAX_HOMES + homes[MAX_HOMES:]
    assert mask("/home/" + "long_" * 20 + "name").endswith("long_name")
    assert mask("/home/alice/a " * 20) == "~/a " * 20


def test_every_string_in_a_value_is_masked():
    key = SECRETS["OpenAI"]
    value = {"a": [key, {"b": f"x {key}"}, 1, 1.5, None, True], key: ()}
    assert mask(value) == {"a": [MARKER, {"b": f"x {MARKER}"}, 1, 1.5, None, True], MARKER: []}


def test_unstorable_values_are_replaced():
    deep = value = {}
    for _ in range(5_000):
        value["a"] = value = {}
    masked, depth = mask(deep), 0
    while masked != TOO_DEEP:
        masked, depth = masked["a"], depth + 1
    assert depth == MAX_DEPTH
    unstorable = [float("nan"), float("-inf"), 2**63, object()]
    assert mask([*unstorable, -(2**63)]) == [None] * 4 + [-(2**63)]


HOSTILE = [
    "eyJ", "eyJ" * 4 + "-", "eyJaaaaaaaaa.", ".eyJaaaaaaaaa", "sk-", "sk-ant-", "-----BEGIN PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----\n" + "A" * 39 + "!", "authorization: bearer ", "authorization", "AIza", "a",
    "ghp_" + "a" * 35 + " ", "\\nsk-a", "pst-AAAA-", "xoxb-", "SG." + "a" * 24 + ".", "-", "A1 ",
    "BEGIN " * 6 + "PRIVATE KEY",
]  # fmt: skip


@pytest.mark.parametrize("part", HOSTILE)
def test_a_hostile_megabyte_takes_linear_time(part):
    text = part * (2**20 // len(part))
    start = time.process_time()
    mask_text(text)
    assert time.process_time() - start < 1.5
