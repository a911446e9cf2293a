"""Which scheduler is in charge: four rules, in order, as data that resolver and explanation both read."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from enum import StrEnum
from typing import Any

from jobctl.errors import ConfigurationError
from jobctl.settings.env_files import EnvFile, Value
from jobctl.settings.environment import Environment
from jobctl.settings.masking import is_secret
from jobctl.settings.variables import ON
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
            Condition("TRIGGER_DEV_ENABLED", lambda env: env.text("TRIGGER_DEV_ENABLED") == "true", "true"),
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
    """A variable as a rule found it, and as ``mode --json`` has it.

    Attributes:
        value: masked where it is secret.
        problem: why the value cannot be used, and what can; None where it can.
    """

    name: str
    value: str | None
    source: str
    line: int | None
    secret: bool
    satisfied: bool
    expected: str
    problem: str | None


@value
class Explained:
    """A rule and what it came to.

    Attributes:
        asked: False for rules behind the one that matched, or cannot be decided.
        undecided: whether it depends on a value that cannot be used.
    """

    mode: Mode
    matched: bool
    asked: bool
    undecided: bool
    reason: str
    variables: tuple[Seen, ...]


@value
class Explanation:
    """Why the mode is what it is, for people and for ``mode --json``.

    Attributes:
        mode: None where a value that cannot be used decides.
        problems: the settings that cannot be used, whether a rule looks at them or not. While there is any, no
            command schedules.
    """

    mode: Mode | None
    manager: str | None
    meaning: str
    node_env: str
    node_env_source: str
    rules: tuple[Explained, ...]
    warnings: tuple[str, ...]
    files: tuple[EnvFile, ...]
    hidden: tuple[tuple[str, str, str], ...]
    content: tuple[Value, ...]
    problems: tuple[ConfigurationError, ...]

    def to_json(self) -> dict[str, Any]:
        """The document of ``mode --json``."""
        decided = [seen.name for rule in self.rules if rule.matched for seen in rule.variables]
        return {
            "mode": self.mode.value if self.mode else None,
            "manager": self.manager,
            "decided_by": decided,
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
            "problems": [
                {"message": str(one), "where": one.where, "hint": one.hint} for one in self.problems
            ],
            "files": [
                {"path": file.name, "found": file.found, "variables": file.variables} for file in self.files
            ],
            "hidden": [{"name": name, "source": source, "by": by} for name, source, by in self.hidden],
            "content": [
                {"name": one.name, "value": one.text, "source": str(one.source)} for one in self.content
            ],
        }


def explain(environment: Environment, others: Iterable[ConfigurationError] = ()) -> Explanation:
    """Every rule with what it looked at, in order; also where a value cannot be used.

    Args:
        others: what is wrong besides.
    """
    wrong = environment.wrong_values()
    explained: list[Explained] = []
    winner: Rule | None = None
    ended = ""
    for rule in RULES:
        seen = tuple(_see(environment, condition, wrong) for condition in rule.conditions)
        matched = not ended and all(one.satisfied for one in seen)
        undecided = not ended and not matched and all(one.satisfied or one.problem for one in seen)
        reason = ended or _reason(seen, matched)
        explained.append(Explained(rule.mode, matched, not ended, undecided, reason, seen))
        if matched:
            winner, ended = rule, "not asked: a rule above matched"
        elif undecided:
            ended = "not asked: a rule above cannot be decided"
    node_env = environment.value("NODE_ENV")
    warnings = _warnings(environment, explained)
    try:
        content = environment.from_content()
    except ConfigurationError as error:
        content = []
        warnings.append(error.problem)
    named = [
        *(condition.variable for rule in RULES for condition in rule.conditions),
        *(one.name for one in content),
    ]
    return Explanation(
        mode=winner.mode if winner else None,
        manager=winner.manager if winner else None,
        meaning=winner.meaning if winner else "a value below cannot be used",
        node_env=node_env.text or "",
        node_env_source=str(node_env.source),
        rules=tuple(explained),
        warnings=tuple(warnings),
        files=environment.files,
        hidden=tuple(
            (name, str(place), str(environment.value(name).source))
            for name in named
            for place in environment.value(name).hidden
        ),
        content=tuple(content),
        problems=(*environment.problems, *wrong.values(), *others),
    )


def _see(environment: Environment, condition: Condition, wrong: Mapping[str, ConfigurationError]) -> Seen:
    value = environment.value(condition.variable)
    problem = wrong.get(condition.variable)
    shown = value.shown
    if shown is not None and not is_secret(value.name):
        shown = shown.removeprefix('"').removesuffix('"')
    return Seen(
        name=value.name,
        value=shown,
        source=str(value.source),
        line=value.source.line or None,
        secret=is_secret(value.name),
        satisfied=problem is None and condition.holds(environment),
        expected=condition.expected,
        problem=problem.problem if problem else None,
    )


def _reason(seen: tuple[Seen, ...], matched: bool) -> str:  # noqa: FBT001 - a fact of the rule
    if not seen:
        return "no rule above matched"
    if matched:
        return " and ".join(f"{one.name} is {_quoted(one)}" for one in seen)
    missing = [one for one in seen if not one.satisfied]
    return "; ".join(map(_lack, missing))


def _lack(seen: Seen) -> str:
    if seen.problem is not None:
        return seen.problem
    if seen.value is None:
        return f"{seen.name} is not set"
    return f"{seen.name} is {_quoted(seen)}, must be {seen.expected}"


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
