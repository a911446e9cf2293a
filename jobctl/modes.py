"""The mode: which scheduler is in charge, by four rules in order, and the explanation of the decision."""

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any, NamedTuple

from jobctl.errors import ConfigurationError
from jobctl.settings.env_files import EnvFile, SettingValue
from jobctl.settings.environment import Environment
from jobctl.settings.masking import is_secret
from jobctl.settings.variables import ON
from jobctl.text import quote


class Mode(StrEnum):
    """The scheduler in charge."""

    DISABLED = "disabled"
    TRIGGER_DEV = "trigger-dev"
    VERCEL = "vercel"
    LOCAL = "local"


class Condition(NamedTuple):
    """A variable, a test of its value, and the expected value in words."""

    variable: str
    holds: Callable[[Environment], bool]
    expected: str


class Rule(NamedTuple):
    """A mode, the conditions that must all hold, the manager of that mode, and what it means."""

    mode: Mode
    conditions: tuple[Condition, ...]
    manager: str
    meaning: str


def _equal(variable: str, text: str) -> Condition:
    return Condition(variable, lambda environment: environment.text(variable) == text, text)


RULES = (
    Rule(
        Mode.DISABLED,
        (
            Condition(
                "DISABLE_AUTO_SYNC",
                lambda environment: environment.flag("DISABLE_AUTO_SYNC"),
                f"one of {' '.join(ON)}",
            ),
        ),
        "NoOpJobManager",
        "nothing is scheduled",
    ),
    Rule(
        Mode.TRIGGER_DEV,
        (
            Condition("TRIGGER_DEV_API_KEY", lambda env: env.text("TRIGGER_DEV_API_KEY") is not None, "set"),
            Condition("TRIGGER_DEV_API_URL", lambda env: env.url("TRIGGER_DEV_API_URL") is not None, "set"),
            _equal("TRIGGER_DEV_ENABLED", "true"),
            _equal("NODE_ENV", "production"),
        ),
        "TriggerDevJobManager",
        "Trigger.dev schedules and runs",
    ),
    Rule(
        Mode.VERCEL,
        (_equal("VERCEL", "1"),),
        "LocalJobManager",
        "Vercel Cron schedules; what it asks for runs here",
    ),
    Rule(Mode.LOCAL, (), "LocalJobManager", "jobs run here, under `jobctl run`"),
)


def resolve(environment: Environment) -> Mode:
    """The mode of the first rule whose conditions all hold.

    Raises:
        ConfigurationError: a setting that a rule reads has an invalid value.
    """
    return next(rule.mode for rule in RULES if all(each.holds(environment) for each in rule.conditions))


class ConditionResult(NamedTuple):
    """A variable and whether it meets its condition, as in ``mode --json``.

    Attributes:
        value: masked if it is secret.
        problem: why the value is invalid; None if it is valid.
    """

    name: str
    value: str | None
    source: str
    line: int | None
    secret: bool
    satisfied: bool
    expected: str
    problem: str | None


class RuleResult(NamedTuple):
    """A rule and its result.

    Attributes:
        evaluated: False for rules after the first that matched or cannot be decided.
        undecided: whether it depends on an invalid value.
    """

    mode: Mode
    matched: bool
    evaluated: bool
    undecided: bool
    reason: str
    variables: tuple[ConditionResult, ...]


class Explanation(NamedTuple):
    """Why the mode is what it is, for people and for ``mode --json``.

    Attributes:
        mode: None if an invalid value prevents the decision.
        problems: all invalid settings, also those that no rule reads. With any of them no command schedules.
    """

    mode: Mode | None
    manager: str | None
    meaning: str
    node_env: str
    node_env_source: str
    rules: tuple[RuleResult, ...]
    warnings: tuple[str, ...]
    files: tuple[EnvFile, ...]
    hidden: tuple[tuple[str, str, str], ...]
    content: tuple[SettingValue, ...]
    problems: tuple[ConfigurationError, ...]

    def to_json(self) -> dict[str, Any]:
        """The document of ``mode --json``."""
        decided = [variable.name for rule in self.rules if rule.matched for variable in rule.variables]
        return {
            "mode": self.mode.value if self.mode else None,
            "manager": self.manager,
            "decided_by": decided,
            "rules": [
                {
                    "mode": rule.mode.value,
                    "matched": rule.matched,
                    "reason": rule.reason,
                    "variables": [variable._asdict() for variable in rule.variables],
                }
                for rule in self.rules
            ],
            "warnings": list(self.warnings),
            "problems": [
                {"message": str(problem), "where": problem.where, "hint": problem.hint}
                for problem in self.problems
            ],
            "files": [
                {"path": file.name, "found": file.found, "variables": file.variables} for file in self.files
            ],
            "hidden": [{"name": name, "source": source, "by": by} for name, source, by in self.hidden],
            "content": [
                {"name": value.name, "value": value.text, "source": str(value.source)}
                for value in self.content
            ],
        }


def explain(environment: Environment, others: Iterable[ConfigurationError] = ()) -> Explanation:
    """Evaluate every rule, in order. Never raises for an invalid value: the explanation contains it.

    Args:
        others: further problems to report.
    """
    wrong = environment.wrong_values
    values = {
        condition.variable: environment.value(condition.variable)
        for rule in RULES
        for condition in rule.conditions
    }
    results: list[RuleResult] = []
    winner: Rule | None = None
    ended = ""
    for rule in RULES:
        variables = tuple(
            _check(environment, each, values[each.variable], wrong.get(each.variable))
            for each in rule.conditions
        )
        matched = not ended and all(each.satisfied for each in variables)
        undecided = not ended and not matched and all(each.satisfied or each.problem for each in variables)
        reason = ended or _reason(variables, matched)
        results.append(RuleResult(rule.mode, matched, not ended, undecided, reason, variables))
        if matched:
            winner, ended = rule, "not evaluated: a rule above matched"
        elif undecided:
            ended = "not evaluated: a rule above cannot be decided"
    node_env = values["NODE_ENV"]
    warnings = _warnings(environment, results, node_env)
    try:
        content = environment.from_content()
    except ConfigurationError as error:
        content = []
        warnings.append(error.problem)

    return Explanation(
        mode=winner.mode if winner else None,
        manager=winner.manager if winner else None,
        meaning=winner.meaning if winner else "a value below is invalid",
        node_env=node_env.text or "",
        node_env_source=str(node_env.source),
        rules=tuple(results),
        warnings=tuple(warnings),
        files=environment.files,
        hidden=tuple(
            (name, str(overridden), str(value.source))
            for name, value in [*values.items(), *((value.name, value) for value in content)]
            for overridden in value.hidden
        ),
        content=tuple(content),
        problems=(*environment.problems, *wrong.values(), *others),
    )


def _check(
    environment: Environment, condition: Condition, value: SettingValue, problem: ConfigurationError | None
) -> ConditionResult:
    shown = value.shown
    if shown is not None and not is_secret(value.name):
        shown = shown.removeprefix('"').removesuffix('"')
    return ConditionResult(
        name=value.name,
        value=shown,
        source=str(value.source),
        line=value.source.line or None,
        secret=is_secret(value.name),
        satisfied=problem is None and condition.holds(environment),
        expected=condition.expected,
        problem=problem.problem if problem else None,
    )


def _reason(variables: tuple[ConditionResult, ...], matched: bool) -> str:  # noqa: FBT001 - a fact of the rule
    if not variables:
        return "no rule above matched"
    if matched:
        return " and ".join(f"{variable.name} is {_quoted(variable)}" for variable in variables)
    return "; ".join(_unmet(variable) for variable in variables if not variable.satisfied)


def _unmet(variable: ConditionResult) -> str:
    if variable.problem is not None:
        return variable.problem
    if variable.value is None:
        return f"{variable.name} is not set"
    return f"{variable.name} is {_quoted(variable)}, must be {variable.expected}"


def _quoted(variable: ConditionResult) -> str:
    return str(variable.value) if variable.secret else f'"{variable.value}"'


def _warnings(environment: Environment, rules: list[RuleResult], node_env: SettingValue) -> list[str]:
    found = list(environment.warnings)
    found += [
        f"{value.source}: python-dotenv reads {quote(value.name)[1:-1]} differently: a job that calls load_dotenv gets another value"
        for value in environment.python_dotenv_differences()
    ]
    if node_env.source.kind == "file":
        found.append(
            f"NODE_ENV comes from {node_env.source}; Next.js itself reads it from the process environment only"
        )
    key, _, enabled, _ = next(rule for rule in rules if rule.mode is Mode.TRIGGER_DEV).variables
    if key.satisfied != enabled.satisfied:
        present, missing = (key, enabled) if key.satisfied else (enabled, key)
        state = "is set" if present is key else "is true"
        searched = ", ".join(
            ["process environment", *(file.name for file in environment.files if file.found)]
        )
        actual = "is not set" if missing.value is None else f"is {_quoted(missing)}"
        found.append(
            f"Trigger.dev is half configured: {present.name} {state}, but {missing.name} {actual} (searched: {searched})"
        )
    return found
