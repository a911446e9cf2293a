"""A JSON Schema of ``jobctl.toml``, so that editors complete and check it."""

import json
from collections.abc import Iterable
from typing import Any

from jobctl.catalogue.job_keys import MOST_MIB
from jobctl.catalogue.notify_settings import URLS, About
from jobctl.text import MAX_ID

FILE = "jobctl.schema.json"

# Patterns are read by the editor's engine: classes are spelt out, for engines differ on \w and \d.
_PART = r"[0-9]{1,12}(\.[0-9]{1,6})? ?(ms|s|m|h|d|w)"
_DURATION = {"type": "string", "maxLength": 100, "pattern": rf"^\s*{_PART}( ?{_PART})*\s*$"}
_HIDDEN = r"\x00-\x1f\x7f-\xa0\xad"
_TEXT = {"type": "string", "pattern": rf"^ *[^ {_HIDDEN}][^{_HIDDEN}]*$"}
_FLAG = {"type": "boolean"}
_LETTERS = "\u00a1-\uffff"  # of other alphabets
_LABEL = f"[A-Za-z0-9_{_LETTERS}-]{{1,63}}"
_HOST = rf"({_LABEL}(\.{_LABEL})*\.?|\[[0-9A-Fa-f:.]+\])"
_WORD = "[A-Za-z_][A-Za-z0-9_]*"
_NAME = rf"{_WORD}(\.{_WORD})*"
_VARIABLE = f"^{_WORD}$"
_URL = {
    "type": "string",
    "pattern": rf"^([$]{_WORD}|[Hh][Tt][Tt][Pp][Ss]?://{_HOST}(:[0-9]{{1,5}})?([/?#][!-~{_LETTERS}]*)?)$",
}
_VALUE = {"type": "string", "pattern": r"^[^\x00]*$"}
_COMMAND = {"type": "array", "prefixItems": [{**_VALUE, "minLength": 1}], "items": _VALUE, "minItems": 1}
_MAIL = {"type": "string", "pattern": r"^[^\x00]*@[^\x00]*$"}


def _not(under: str) -> dict[str, Any]:
    """A duration that is no single part under what is the least."""
    return {**_DURATION, "not": {"pattern": rf"^\s*({under})\s*$"}}


KEYS: dict[str, tuple[dict[str, Any], str]] = {
    "name": (_TEXT, "What people call it."),
    "call": ({"type": "string", "pattern": f"^{_NAME}:{_NAME}$"}, 'The function: "package.module:function".'),
    "command": (_COMMAND, 'The program and its arguments: ["pg_dump", "app"].'),
    "every": (_not(r"0*[0-9]{1,3}(\.[0-9]+)? ?ms|0+(\.[0-9]+)? ?s|[0.]+ ?[mhdw]"), "How often it is due: 30s, 5m, 1h30m."),
    "cron": (
        {"type": "string", "pattern": r"^\s*(@[A-Za-z]+|\S+(\s+\S+){4,5})\s*$"},
        "When it is due: five fields, or six with seconds first.",
    ),
    "timezone": (_TEXT, "IANA name of the zone of cron; UTC unless said."),
    "timeout": (_not(r"0+(\.[0-9]+)? ?ms|[0.]+ ?[smhdw]"), "Of one attempt; 1h unless said."),
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
            "additionalProperties": _VALUE,
        },
        "Variables for its runs.",
    ),
    "folder": (_TEXT, "Where its runs begin, seen from the project's folder."),
    "check_in": (_URL, "A monitor's URL, or $NAME, told of each start, success and failure."),
    "memory_mib": (
        {"type": "integer", "minimum": 1, "maximum": MOST_MIB},
        "How much address space a run may take, in MiB, on Linux; no limit unless said.",
    ),
    "needs": (
        {"type": "array", "items": {"type": "string", "pattern": _VARIABLE}},
        "Variables that must be set.",
    ),
}  # fmt: skip
"""Each key of a job: what it may be, and what it means.

What no pattern can say is left to jobctl: whether the fields of a cron text name a day, whether a zone is
known, what several parts of a duration come to, and which characters beyond Latin-1 can be shown.
"""


def schema(others: Iterable[str]) -> dict[str, Any]:
    """The schema, draft 2020-12.

    Args:
        others: ids of the jobs that are defined elsewhere, so that the file may say as little as it likes of them.
    """
    change = {
        "type": "object",
        "properties": {key: {**kind, "description": text} for key, (kind, text) in KEYS.items()},
        "additionalProperties": False,
        "allOf": [
            {"not": {"required": ["call", "command"]}},
            {"not": {"required": ["every", "cron"]}},
            {"not": {"required": ["every", "timezone"]}},
        ],
    }
    own = {
        "allOf": [{"$ref": "#/$defs/change"}],
        "anyOf": [{"required": ["call"]}, {"required": ["command"]}],
        "dependentRequired": {"timezone": ["cron"]},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "jobctl.toml",
        "description": "The jobs of a project.",
        "type": "object",
        "properties": {
            "builtin": {**_FLAG, "description": "Whether the site's built-in jobs are in the catalogue."},
            "modules": {
                "type": "array",
                "items": {"type": "string", "pattern": f"^{_NAME}$"},
                "description": "Modules whose @job functions join.",
            },
            "notify": {
                "type": "object",
                "description": "Who is told when a job fails, recovers or misses slots.",
                "properties": {
                    **dict.fromkeys(URLS, _URL),
                    "command": _COMMAND,
                    "mail": {"anyOf": [_MAIL, {"type": "array", "items": _MAIL, "minItems": 1}]},
                    "on": {"type": "array", "items": {"enum": [one.value for one in About]}},
                },
                "additionalProperties": False,
            },
            "jobs": {
                "type": "object",
                "description": "A job each, by its id; the id of one that is defined elsewhere changes that job.",
                "propertyNames": {"pattern": "^[a-z0-9]+(-[a-z0-9]+)*$", "maxLength": MAX_ID},
                "properties": {one: {"$ref": "#/$defs/change"} for one in others},
                "additionalProperties": own,
            },
        },
        "additionalProperties": False,
        "$defs": {"change": change},
    }


def schema_files(others: Iterable[str]) -> dict[str, str]:
    """The file to write, for a project with these jobs besides its file's own."""
    return {FILE: json.dumps(schema(others), indent=2) + "\n"}
