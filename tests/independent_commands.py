"""An independent implementation of rules/metrics/command-recognition.md. Only verifications.json is shared."""

import json
import re
from pathlib import Path

LISTS = json.loads((Path(__file__).parents[1] / "rules" / "metrics" / "verifications.json").read_text())
KINDS_BY_RANK = ("test", "check", "build")

# The delimiter can contain non-ASCII letters.
HERE_DOCUMENT = re.compile(
    r"""(?<!<)<<(?!<)-?[ \t]*(?: \\?([^\W\d]\w*) | '([^\W\d]\w*)' | "([^\W\d]\w*)" )""", re.VERBOSE
)
COMMENT = re.compile(r"#[^\n]*")
TOKEN = re.compile(
    r"""(?P<continuation> \\\n )
      | (?P<escaped>      \\ .? )
      | (?P<single>       ' [^']* (?: ' | \Z ) )
      | (?P<double>       " (?: \\. | [^"\\] )* (?: " | \\? \Z ) )
      | (?P<redirection>  <<< | <<- | << | <& | <> | < | &>> | &> | >> | >\| | >& | > )
      | (?P<separator>   && | \|\| | \$\( | [;|&()`\n] )
      | (?P<blank>        \s )
      | (?P<plain>        . )""",
    re.VERBOSE | re.DOTALL,
)
DOUBLE_QUOTED = re.compile(r'"(?:\\.|[^"\\])*"', re.DOTALL)
ESCAPED_IN_DOUBLE_QUOTES = re.compile(r'\\(["\\$`\n])')
ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
DIGITS = re.compile(r"[0-9]+")


def command_kind(command):
    """Return `test`, `check` or `build`, or None."""
    if not isinstance(command, str):
        return None
    return first_in_rank({part_kind(words) for words in split_parts(without_here_documents(command))})


def first_in_rank(kinds):
    """Step 7."""
    return next((kind for kind in KINDS_BY_RANK if kind in kinds), None)


def without_here_documents(text):
    """Step 1: remove the lines of complete here-documents."""
    lines, result = text.split("\n"), []
    while lines:
        result.append(lines.pop(0))
        for match in HERE_DOCUMENT.finditer(result[-1]):
            word = next(filter(None, match.groups()))
            stripped = [following.strip() for following in lines]
            if word in stripped:
                del lines[: stripped.index(word) + 1]
    return "\n".join(result)


def split_parts(text):
    """Step 2: split into parts and words, without quotes and redirections."""
    parts, words, word, is_file, position = [], [], None, False, 0
    while position <= len(text):
        comment = COMMENT.match(text, position) if word is None else None
        if comment:
            position = comment.end()
            continue
        match = TOKEN.match(text, position)
        group, token = (match.lastgroup, match.group()) if match else ("separator", "")
        position += len(token) or 1
        if group in ("separator", "blank", "redirection"):
            is_descriptor = group == "redirection" and word is not None and DIGITS.fullmatch(word)
            if word is not None and not is_descriptor:
                words += [] if is_file else [word]
                is_file = False
            word, is_file = None, is_file or group == "redirection"
            if group == "separator":
                parts.append(words)
                words, is_file = [], False
        elif group != "continuation" and token != "\\":  # a final backslash is ignored
            word = (word or "") + unquoted(group, token)
    return [words for words in parts if words]


def unquoted(group, token):
    if group == "escaped":
        return token[1:]
    if group == "single":
        return token[1:].removesuffix("'")
    if group == "double":
        inner = token[1:-1] if DOUBLE_QUOTED.fullmatch(token) else token[1:]
        return ESCAPED_IN_DOUBLE_QUOTES.sub(lambda match: match[1].strip("\n"), inner)
    return token


# Steps 3 and 4: options and the program


def part_kind(words):
    while words := without_leading_words(words):
        before_dashes = words[: words.index("--")] if "--" in words else words
        if "--version" in before_dashes or "--help" in before_dashes:
            return None
        words = [program_name(words[0]), *words[1:]]
        module = next((rest[1:] for rest in options(words) if rest[0] == "-m"), [])
        if words[0] == "python" and module:
            words = module
            continue
        scripts = (rest[1:2] for rest in options(words) if re.fullmatch(r"-[a-z]*c", rest[0]))
        if words[0] in ("bash", "sh", "zsh") and (script := next(scripts, [])):
            return command_kind(script[0])
        if kind := runner_kind(words) or tool_kind(words):
            return kind
        words = without_prefix(words)
    return None


def without_leading_words(words):
    while words and (words[0] in LISTS["shell_words"] or ASSIGNMENT.match(words[0])):
        words = words[1:]
    return words


def program_name(word):
    name = word.rsplit("/", 1)[-1]
    name = name[: name.find("@", 1)] if name.find("@", 1) > 0 else name
    return "python" if re.fullmatch(r"python[0-9.]*", name) else name


def option_length(words, program):
    """Return the length of the first option in words: 0 if there is none, 2 if it takes a value."""
    if not words or not words[0].startswith("-"):
        return 0
    return 2 if words[0] in LISTS["options_with_value"].get(program, ()) else 1


def options(words):
    """For each option of the program, yield the words from that option to the end."""
    rest = words[1:]
    while length := option_length(rest, words[0]):
        yield rest
        rest = rest[length:]


def without_options(words, program):
    while length := option_length(words, program):
        words = words[length:]
    return words


# Step 5: runners and tools


def runner_kind(words):
    runners, program = LISTS["runners"], words[0]
    # `deno task` has two words.
    names = (name.split() for name in runners["first_argument"])
    length = next((len(name) for name in names if words[: len(name)] == name), 0)
    if program in runners["all_arguments"]:
        targets = arguments(words[1:], program)
    elif length:
        targets = first_target(arguments(words[length:], program))
    else:
        return None
    if not targets:
        return runners["bare"].get(program)
    words_in_targets = {word for target in targets for word in target_words(target)}
    return first_in_rank({kind for kind, names in runners["words"].items() if words_in_targets & set(names)})


def arguments(words, program):
    targets = []
    while words:
        length = option_length(words, program)
        if not length and not ASSIGNMENT.match(words[0]) and not DIGITS.fullmatch(words[0]):
            targets.append(words[0])
        words = words[length or 1 :]
    return targets


def first_target(candidates):
    if candidates[:1] == ["workspace"]:
        candidates = candidates[2:]
    if candidates and candidates[0] in ("run", "run-script", "r"):
        candidates = candidates[1:]
    return candidates[:1]


def target_words(target):
    spaced = re.sub(r"([a-z])(?=[A-Z])", r"\1 ", target)
    return [word.lower() for word in re.findall(r"[A-Za-z0-9]+", spaced)]


def tool_kind(words):
    for line in (words, [words[0], *without_options(words[1:], words[0])]):
        text = " ".join("''" if not word or re.search(r"\s", word) else word for word in line)
        for tool in LISTS["tools"]:
            if re.search(tool["pattern"], text):
                return tool["kind"]
    return None


# Step 6: prefixes


def without_prefix(words):
    """Return the words after the longest prefix, or [] if there is none."""
    prefixes = [(name.split(), 0) for name in LISTS["prefixes"]]
    prefixes += [(name.split(), 1) for name in LISTS["prefixes_with_argument"]]
    matches = [(len(prefix), skipped, words_after(prefix, words)) for prefix, skipped in prefixes]
    matches = [(length, rest[skipped:]) for length, skipped, rest in matches if rest is not None]
    return max(matches, key=lambda match: match[0], default=(0, []))[1]


def words_after(prefix, words):
    program, rest = words[0], words
    for name in prefix:
        if rest[:1] != [name]:
            return None
        rest = without_options(rest[1:], program)
    return rest
