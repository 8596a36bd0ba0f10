"""What schemathesis is told of Stead, beside what an OpenAPI document can say.

Lines of JSON and events are lists of what is described; streams are asked to end; a daemon that was ended is waited for.
"""

import json
import os
import time
import urllib.request

import schemathesis
from hypothesis import strategies

LINES = "application/x-ndjson"
EVENTS = "text/event-stream"
BEATS = "application/vnd.stead.beats"

# How long another daemon may take to answer after one was ended, in seconds.
PATIENCE = 90


def contents(document):
    """Every content of a request or of an answer that is described."""
    for path in document["paths"].values():
        for operation in path.values():
            if isinstance(operation, dict):
                yield operation.get("requestBody", {}).get("content", {})
                for answer in operation.get("responses", {}).values():
                    yield answer.get("content", {})


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """Each line is as described: all of them are a list."""
    for content in contents(raw_schema):
        if LINES in content:
            content[LINES]["schema"] = {"type": "array", "items": content[LINES]["schema"]}


@schemathesis.serializer(LINES)
def to_lines(context, value):
    lines = value if isinstance(value, list) else [value]
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


@schemathesis.deserializer(LINES)
def from_lines(context, response):
    return [json.loads(line) for line in response.content.splitlines()]


@schemathesis.deserializer(EVENTS)
def from_events(context, response):
    """The data of each event is as described."""
    lines = response.content.decode().split("\n")
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


# Batches with a head and records of 32 bytes, such with a piece too few or too many, and anything at all.
RECORDS = strategies.lists(strategies.binary(min_size=32, max_size=32)).map(b"".join)
REST = strategies.one_of(strategies.just(b""), strategies.binary(max_size=31))
BATCHES = strategies.builds(lambda records, rest: b"SBT1\0\0\0\0" + records + rest, RECORDS, REST)
schemathesis.openapi.media_type(BEATS, strategies.one_of(BATCHES, strategies.binary()))

# Of whom there is one: a name that was made up is hardly ever theirs.
KNOWN = {"capability": "echo", "circuit": "shared", "group": "pool"}

# How often each of those was asked about, and which process answered before it was ended.
seen = {"pid": None}


@schemathesis.hook
def before_call(context, case, **kwargs):
    """Streams end behind what is there, and every other question about what has a name, or about output, is about one that is known."""
    path = case.operation.path
    if path.endswith(("/logs", "/events")) and isinstance(case.query, dict):
        if case.query.get("follow", path.endswith("/events")) in (True, "true", [True], ["true"]):
            case.query["follow"] = "false"
    known = KNOWN | ({"agent": "cache" if "components" in path else "web"} if path.endswith("/logs") else {})
    for parameter, name in known.items():
        if f"{{{parameter}}}" in path:
            seen[path] = seen.get(path, 0) + 1
            if seen[path] % 2 == 0:
                case.path_parameters[parameter] = name
    if path.endswith("/shutdown"):
        seen["pid"] = who_answers()


@schemathesis.hook
def after_call(context, case, response):
    """Whoever ended the daemon waits for the next one."""
    if case.operation.path.endswith("/shutdown") and response.status_code == 202:
        bound = time.monotonic() + PATIENCE
        while who_answers() in (None, seen["pid"]):
            if time.monotonic() > bound:
                raise TimeoutError(f"no daemon answered within {PATIENCE} s after one was ended")
            time.sleep(0.02)


def who_answers():
    """The process of the daemon that answers; none where nobody does."""
    try:
        with urllib.request.urlopen(os.environ["STEAD_URL"] + "/api/v1/daemon", timeout=5) as answer:
            return json.load(answer)["pid"]
    except (OSError, ValueError, KeyError):
        return None

