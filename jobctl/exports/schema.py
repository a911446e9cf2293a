"""A JSON Schema of ``jobctl.toml``, so that editors complete and check it."""

import json
from typing import Any

from jobctl.notify.settings import URLS, About
from jobctl.text import MAX_ID

FILE = "jobctl.schema.json"
_DURATION = {
    "type": "string",
    "maxLength": 100,
    "pattern": r"^\s*[0-9]+(\.[0-9]+)? ?(ms|s|m|h|d|w)( ?[0-9]+(\.[0-9]+)? ?(ms|s|m|h|d|w))*\s*$",
}
_TEXT = {"type": "string", "minLength": 1}
_FLAG = {"type": "boolean"}
_URL = "^(https?://|[$])"
_VARIABLE = "^[A-Za-z_][A-Za-z0-9_]*$"
_NAME = r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*"

KEYS: dict[str, tuple[dict[str, Any], str]] = {
    "name": (_TEXT, "What people call it."),
    "call": ({"type": "string", "pattern": f"^{_NAME}:{_NAME}$"}, 'The function: "package.module:function".'),
    "command": (
        {"type": "array", "items": {"type": "string"}, "minItems": 1},
        'The program and its arguments: ["pg_dump", "app"].',
    ),
    "every": (_DURATION, "How often it is due: 30s, 5m, 1h30m."),
    "cron": (_TEXT, "When it is due: five fields, or six with seconds first."),
    "timezone": (_TEXT, "IANA name of the zone of cron; UTC unless said."),
    "timeout": (_DURATION, "Of one attempt; 1h unless said."),
    "retries": ({"type": "integer", "minimum": 0, "maximum": 100}, "Attempts after a failed first one."),
    "retry_delay": (_DURATION, "Before the first retry, doubled each time; 10s unless said."),
    "catch_up": (_FLAG, "After a stop, run once for all that was missed."),
    "enabled": (_FLAG, "false keeps it off its schedule."),
    "jitter": (_DURATION, "A slot begins up to so much later."),
    "overlap": ({"enum": ["skip", "queue"]}, "What becomes of a slot while a run is in its way; skip unless said."),
    "group": (_TEXT, "No two jobs of a group run at the same time."),
    "grace": (_DURATION, "Between SIGTERM and SIGKILL where a run must end; 5s unless said."),
    "environment": (
        {
            "type": "object",
            "propertyNames": {"pattern": _VARIABLE},
            "additionalProperties": {"type": "string"},
        },
        "Variables for its runs.",
    ),
    "folder": (_TEXT, "Where its runs begin, seen from the project's folder."),
    "check_in": (
        {"type": "string", "pattern": _URL},
        "A monitor's URL, or $NAME, told of each start, success and failure.",
    ),
    "needs": (
        {"type": "array", "items": {"type": "string", "pattern": _VARIABLE}},
        "Variables that must be set.",
    ),
}  # fmt: skip
"""Each key of a job: what it may be, and what it means."""


def schema() -> dict[str, Any]:
    """The schema, draft 2020-12."""
    job = {
        "type": "object",
        "properties": {key: {**kind, "description": text} for key, (kind, text) in KEYS.items()},
        "additionalProperties": False,
        "allOf": [
            {"not": {"required": ["call", "command"]}},
            {"not": {"required": ["every", "cron"]}},
            {"not": {"required": ["every", "timezone"]}},
        ],
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "jobctl.toml",
        "description": "The jobs of a project.",
        "type": "object",
        "properties": {
            "modules": {
                "type": "array",
                "items": {"type": "string", "pattern": f"^{_NAME}$"},
                "description": "Modules whose @job functions join.",
            },
            "notify": {
                "type": "object",
                "description": "Who is told when a job fails, recovers or misses slots.",
                "properties": {
                    **{key: {"type": "string", "pattern": _URL} for key in URLS},
                    "command": {"type": "array", "items": {"type": "string"}, "minItems": 1},
                    "mail": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
                    "on": {"type": "array", "items": {"enum": [one.value for one in About]}},
                },
                "additionalProperties": False,
            },
            "jobs": {
                "type": "object",
                "description": "A job each, by its id; a built-in one's id changes that job.",
                "propertyNames": {"pattern": "^[a-z0-9]+(-[a-z0-9]+)*$", "maxLength": MAX_ID},
                "additionalProperties": job,
            },
        },
        "additionalProperties": False,
    }


def schema_files() -> dict[str, str]:
    """The file to write."""
    return {FILE: json.dumps(schema(), indent=2) + "\n"}
