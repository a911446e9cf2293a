"""Which scheduler is in charge: four rules, in order, as data that resolver and explanation both read."""

from collections.abc import Callable
from dataclasses import asdict
from enum import StrEnum
from typing import Any

from jobctl.settings.collect import EnvFile
from jobctl.settings.environment import Environment
from jobctl.settings.variables import ON, is_secret
from jobctl.text import quote
from jobctl.values import value


class Mode(StrEnum):
    """Who schedules."""

    DISABLED = "disabled"
    TRIGGER_DEV = "trigger-dev"
    VERCEL = "vercel"
    LOCAL = "local"


@value
class Condition:
    """One variable, what it must be, and how that is said."""

    variable: str
    holds: Callable[[Environment], bool]
    expected: str


@value
class Rule:
    """A mode, the conditions that must all hold, the manager that follows, and what it means."""

    mode: Mode
    conditions: tuple[Condition, ...]
    manager: str
    meaning: str


RULES = (
    Rule(
        Mode.DISABLED,
        (
            Condition(
                "DISABLE_AUTO_SYNC", lambda env: env.flag("DISABLE_AUTO_SYNC"), f"one of {' '.join(ON)}"
            ),
        ),
        "NoOpJobManager",
        "nothing is scheduled",
    ),
    Rule(
        Mode.TRIGGER_DEV,
        (
            Condition(
                "TRIGGER_DEV_API_KEY", lambda env: env.secret("TRIGGER_DEV_API_KEY") is not None, "set"
            ),
            Condition("TRIGGER_DEV_API_URL", lambda env: env.url("TRIGGER_DEV_API_URL") is not None, "set"),
            Condition("TRIGGER_DEV_ENABLED", lambda env: env.flag("TRIGGER_DEV_ENABLED"), "true"),
            Condition("NODE_ENV", lambda env: env.text("NODE_ENV") == "production", "production"),
        ),
        "TriggerDevJobManager",
        "Trigger.dev schedules and runs",
    ),
    Rule(
        Mode.VERCEL,
        (Condition("VERCEL", lambda env: env.text("VERCEL") == "1", "1"),),
        "LocalJobManager",
        "Vercel Cron schedules; what it asks for runs here",
    ),
    Rule(Mode.LOCAL, (), "LocalJobManager", "jobs run here, under `jobctl run`"),
)


def resolve(environment: Environment) -> Mode:
    """The mode of the first rule whose conditions all hold.

    Raises:
        ConfigurationError: a setting that a rule looks at has a value that cannot be used.
    """
    return _first(environment).mode


def _first(environment: Environment) -> Rule:
    return next(rule for rule in RULES if all(one.holds(environment) for one in rule.conditions))


@value
class Seen:
    """A variable as a rule found it, and as ``mode --json`` has it. ``value`` is masked where it is secret."""

    name: str
    value: str | None
    source: str
    line: int | None
    secret: bool
    satisfied: bool
    expected: str


@value
class Explained:
    """A rule and what it came to. ``asked`` is False for rules behind the one that matched."""

    mode: Mode
    matched: bool
    asked: bool
    reason: str
    variables: tuple[Seen, ...]


@value
class Explanation:
    """Why the mode is what it is, for people and for ``mode --json``."""

    mode: Mode
    manager: str
    meaning: str
    node_env: str
    node_env_source: str
    rules: tuple[Explained, ...]
    warnings: tuple[str, ...]
    files: tuple[EnvFile, ...]
    hidden: tuple[tuple[str, str, str], ...]

    def to_json(self) -> dict[str, Any]:
        """The document of ``mode --json``."""
        decided = next(rule for rule in self.rules if rule.matched)
        return {
            "mode": self.mode.value,
            "manager": self.manager,
            "decided_by": [seen.name for seen in decided.variables],
            "rules": [
                {
                    "mode": rule.mode.value,
                    "matched": rule.matched,
                    "reason": rule.reason,
                    "variables": [asdict(seen) for seen in rule.variables],
                }
                for rule in self.rules
            ],
            "warnings": list(self.warnings),
            "files": [
                {"path": file.name, "found": file.found, "variables": file.variables} for file in self.files
            ],
            "hidden": [{"name": name, "source": source, "by": by} for name, source, by in self.hidden],
        }


def explain(environment: Environment) -> Explanation:
    """Every rule with what it looked at, in order.

    Raises:
        ConfigurationError: a setting, any, has a value that cannot be used.
    """
    environment.require()
    winner = _first(environment)
    explained: list[Explained] = []
    found = False
    for rule in RULES:
        seen = tuple(_see(environment, condition) for condition in rule.conditions)
        matched = rule is winner
        explained.append(Explained(rule.mode, matched, not found, _reason(seen, matched, found), seen))
        found = found or matched
    node_env = environment.value("NODE_ENV")
    named = [condition.variable for rule in RULES for condition in rule.conditions]
    return Explanation(
        mode=winner.mode,
        manager=winner.manager,
        meaning=winner.meaning,
        node_env=node_env.text or "",
        node_env_source=str(node_env.source),
        rules=tuple(explained),
        warnings=tuple(_warnings(environment, explained)),
        files=environment.files,
        hidden=tuple(
            (name, str(place), str(environment.value(name).source))
            for name in named
            for place in environment.value(name).hidden
        ),
    )


def _see(environment: Environment, condition: Condition) -> Seen:
    value = environment.value(condition.variable)
    shown = value.shown
    if shown is not None and not is_secret(value.name):
        shown = shown.removeprefix('"').removesuffix('"')
    return Seen(
        name=condition.variable,
        value=shown,
        source=str(value.source),
        line=value.source.line or None,
        secret=is_secret(condition.variable),
        satisfied=condition.holds(environment),
        expected=condition.expected,
    )


def _reason(seen: tuple[Seen, ...], matched: bool, found: bool) -> str:  # noqa: FBT001 - two facts of one rule
    if found:
        return "not asked: a rule above matched"
    if not seen:
        return "no rule above matched"
    if matched:
        return " and ".join(f"{one.name} is {_quoted(one)}" for one in seen)
    missing = [one for one in seen if not one.satisfied]
    return "; ".join(
        f"{one.name} is not set"
        if one.value is None
        else f"{one.name} is {_quoted(one)}, must be {one.expected}"
        for one in missing
    )


def _quoted(seen: Seen) -> str:
    return str(seen.value) if seen.secret else f'"{seen.value}"'


def _warnings(environment: Environment, rules: list[Explained]) -> list[str]:
    found = list(environment.warnings)
    found += [
        f"{value.source}: python-dotenv reads {quote(value.name)[1:-1]} otherwise; a job that calls load_dotenv gets another value"
        for value in environment.read_otherwise()
    ]
    node_env = environment.value("NODE_ENV")
    if node_env.source.kind == "file":
        found.append(
            f"NODE_ENV is taken from {node_env.source}; Next.js itself takes it from the process environment only"
        )
    key, _, enabled, _ = next(rule for rule in rules if rule.mode is Mode.TRIGGER_DEV).variables
    if key.satisfied != enabled.satisfied:
        have, lack = (key, enabled) if key.satisfied else (enabled, key)
        state = "is set" if have is key else "is true"
        looked = ", ".join(["process environment", *(file.name for file in environment.files if file.found)])
        what = "is not set" if lack.value is None else f"is {_quoted(lack)}"
        found.append(
            f"Trigger.dev is half configured: {have.name} {state}, but {lack.name} {what} (looked in: {looked})"
        )
    return found
