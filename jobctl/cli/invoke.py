"""Runs commands. Simple calls are parsed here, since loading Typer takes most of the time of a quick command."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from jobctl.cli.command_data import COMMANDS, COMMON
from jobctl.cli.common_options import Common


def invoke(name: str, arguments: dict[str, Any], common: Common) -> int:
    """Run a command and return its exit code.

    Args:
        name: of the command.
        arguments: of its function, by parameter.
    """
    from jobctl.cli.context import Context

    command = import_module(f"jobctl.cli.commands.{name}")
    with _interruptible():
        context = Context(common)
        try:
            code: int = command.run(context, **arguments)
        finally:
            context.close()
    return code


def parse_simple(words: list[str]) -> Callable[[], int] | None:
    """Parse a call that has only a command, flags and arguments. None means that Typer has to parse it."""
    name, *rest = common_last(words) or [""]
    if name not in COMMANDS:
        return None
    command = COMMANDS[name]
    flags = {
        spelling: (group, option.parameter)
        for group, options in (("common", COMMON), ("own", command.options))
        for long, option in options.items()
        if option.is_flag and option.parameter
        for spelling in filter(None, (long, option.short))
    }
    missing = list(command.arguments)
    found: dict[str, dict[str, Any]] = {"common": {}, "own": {}}
    for word in rest:
        if word in flags:
            group, parameter = flags[word]
            found[group][parameter] = True
        elif word.startswith("-") or not missing:
            return None
        else:
            argument = missing.pop(0)
            if argument.values and word not in argument.values:
                return None
            found["own"][argument.parameter] = word
    if any(argument.is_required for argument in missing):
        return None
    return lambda: invoke(name, found["own"], Common(**found["common"]))


def common_last(words: list[str]) -> list[str]:
    """Move common options behind the command: ``--json status`` becomes ``status --json``."""
    shorts = {option.short: long for long, option in COMMON.items() if option.short}
    moved: list[str] = []
    rest = list(words)
    while rest:
        name, assigned, _ = rest[0].partition("=")
        option = COMMON.get(shorts.get(name, name))
        if option is None or not option.parameter:
            break
        moved.append(rest.pop(0))
        if not (option.is_flag or assigned) and rest:
            moved.append(rest.pop(0))
    return [*rest[:1], *moved, *rest[1:]] if rest else moved


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let SIGINT raise ``KeyboardInterrupt``, unless the process ignores or handles it."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
