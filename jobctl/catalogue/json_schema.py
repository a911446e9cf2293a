"""A JSON Schema of ``jobctl.toml``, so that editors complete and check it."""

import json
from collections.abc import Iterable
from typing import Any

from jobctl.catalogue.job_keys import COMMAND, FLAG, KEYS, URL, default_text
from jobctl.catalogue.notify_settings import URLS, NotificationKind
from jobctl.text import DOTTED_NAME, MAX_ID

FILE = "jobctl.schema.json"
_MAIL = {"type": "string", "pattern": r"^[^\x00]*@[^\x00]*$"}


def schema(others: Iterable[str]) -> dict[str, Any]:
    """The schema, draft 2020-12.

    Args:
        others: ids of the jobs that are defined elsewhere; the file may change any of their keys.
    """
    change = {
        "type": "object",
        "properties": {name: {**key.schema, "description": _description(name)} for name, key in KEYS.items()},
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
            "builtin": {**FLAG, "description": "Whether the site's built-in jobs are in the catalogue."},
            "modules": {
                "type": "array",
                "items": {"type": "string", "pattern": f"^{DOTTED_NAME}$"},
                "description": "Modules whose @job functions join the catalogue.",
            },
            "notify": {
                "type": "object",
                "description": "Who is notified when a job fails, recovers or misses slots.",
                "properties": {
                    **dict.fromkeys(URLS, URL),
                    "command": COMMAND,
                    "mail": {"anyOf": [_MAIL, {"type": "array", "items": _MAIL, "minItems": 1}]},
                    "on": {"type": "array", "items": {"enum": [one.value for one in NotificationKind]}},
                },
                "additionalProperties": False,
            },
            "jobs": {
                "type": "object",
                "description": "Jobs by id; the id of a job that is defined elsewhere changes that job.",
                "propertyNames": {"pattern": "^[a-z0-9]+(-[a-z0-9]+)*$", "maxLength": MAX_ID},
                "properties": {one: {"$ref": "#/$defs/change"} for one in others},
                "additionalProperties": own,
            },
        },
        "additionalProperties": False,
        "$defs": {"change": change},
    }


def _description(key: str) -> str:
    default = default_text(key)
    return f"{KEYS[key].meaning} Default: {default}." if default else KEYS[key].meaning


def schema_files(others: Iterable[str]) -> dict[str, str]:
    """The schema by file name, for a project with these other jobs, see ``schema``."""
    return {FILE: json.dumps(schema(others), indent=2) + "\n"}
