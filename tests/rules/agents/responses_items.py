"""Responses API requests, as Codex sends them."""

import json

from rules.agents.model_apis import openai_responses
from tests.rules.agents.messages import turns

SESSION = "0c9b1f7e-5b0a-4c57-9a55-2f1d3c7b8a10"
HEADERS = {
    "user-agent": "codex_exec/0.169.0 (Linux; x86_64)",
    "originator": "codex_exec",
    "session-id": SESSION,
    "thread-id": SESSION,
}
TOOLS = [{"type": "function", "name": "exec_command"}, {"type": "custom", "name": "apply_patch"}]
SUMMARY = (
    "Another language model started to solve this problem and produced a summary of its thinking process. "
    "Here it is:\nNothing is left to do."
)


def user(*texts):
    return {
        "type": "message",
        "role": "user",
        "content": [{"type": "input_text", "text": text} for text in texts],
    }


def context(directory="/shop"):
    """Return the item that Codex adds before the first prompt."""
    return user(
        f"# AGENTS.md instructions for {directory}\n\n<INSTRUCTIONS>\nBe brief.\n</INSTRUCTIONS>",
        f"<environment_context>\n  <cwd>{directory}</cwd>\n  <shell>bash</shell>\n</environment_context>",
    )


def assistant(text):
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"type": "message", "role": "assistant", "status": "completed", "content": content}


def call(call_id, tool, /, **arguments):
    return {"type": "function_call", "name": tool, "arguments": json.dumps(arguments), "call_id": call_id}


def result(call_id, output):
    return {"type": "function_call_output", "call_id": call_id, "output": output}


def patch(call_id, *lines):
    text = "\n".join(["*** Begin Patch", *lines, "*** End Patch"])
    return {"type": "custom_tool_call", "name": "apply_patch", "input": text, "call_id": call_id}


def patch_result(call_id, *files):
    output = "Exit code: 0\nWall time: 0 seconds\nOutput:\nSuccess. Updated the following files:\n"
    return {"type": "custom_tool_call_output", "call_id": call_id, "output": output + "\n".join(files) + "\n"}


def command_result(call_id, output="", code=0, wall_time="0.0100"):
    header = f"Chunk ID: 1a2b3c\nWall time: {wall_time} seconds\nProcess exited with code {code}\n"
    return result(call_id, f"{header}Original token count: 7\nOutput:\n{output}")


def running_result(call_id, session, output=""):
    header = f"Chunk ID: 1a2b3c\nWall time: 0.3000 seconds\nProcess running with session ID {session}\n"
    return result(call_id, f"{header}Original token count: 0\nOutput:\n{output}")


def request(*items, headers=HEADERS, **fields):
    body = {"model": "model-1", "stream": True, "tools": TOOLS, "input": [context(), *items]}
    return openai_responses.read_request(headers, body | fields)


def stream(*items):
    yield {"type": "response.created", "response": {"id": "resp_1", "output": []}}
    for index, item in enumerate(items):
        yield {"type": "response.output_item.added", "output_index": index, "item": {"type": item["type"]}}
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    yield {"type": "response.completed", "response": {"id": "resp_1", "output": list(items)}}


def response(*items):
    response = openai_responses.Response()
    for part in stream(*items):
        response.add(part)
    return response


def outcomes(*items, **fields):
    """Return the kind and data of tool outcomes and user input, in order."""
    oldest_first = reversed(list(turns(request(*items, **fields))))
    events = [
        event for turn in oldest_first for event in turn if event.kind not in ("tool_intent", "ai_response")
    ]
    return [(event.kind, event.data) for event in events]
