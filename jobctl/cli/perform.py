"""Runs a command. A call of flags and plain words alone is understood here, without loading Typer: that is most of
what the quick commands take.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from importlib import import_module
from types import ModuleType
from typing import Any

from jobctl.cli.options import Common, behind_command
from jobctl.cli.words import COMMANDS, COMMON, LONG


def perform(module: ModuleType, options: Any, common: Common) -> int:
    """Run a command's module with what it was asked for."""
    from jobctl.cli.context import Context

    long = LONG.get(module.__name__.rpartition(".")[2])
    with interruptible():
        context = Context(common)
        try:
            with context.output.working(long) if long else nullcontext():
                code: int = module.run(options, context)
        finally:
            context.close()
    return code


def understood(args: list[str]) -> Callable[[], int] | None:
    """The call, where it has nothing but a command's name, flags and as many words as it takes; else None, for Typer."""
    name, *words = behind_command(args) or [""]
    if name not in COMMANDS:
        return None
    module = import_module(f"jobctl.cli.commands.{name}")
    flags = {
        one: (True, long[2:])
        for long, option in COMMON.items()
        if not option.value
        for one in filter(None, (long, option.short))
    }
    arguments: list[str] = []
    for field, kind in module.Options.__annotations__.items():
        (declared,) = kind.__metadata__
        if kind.__origin__ is bool:
            flags |= dict.fromkeys(declared.names, (False, field))
        elif not declared.names and not declared.settings["hidden"]:
            arguments.append(field)
    own: dict[str, Any] = {}
    common: dict[str, Any] = {}
    for word in words:
        if word in flags:
            is_common, field = flags[word]
            (common if is_common else own)[field] = True
        elif word.startswith("-") or not arguments:
            return None
        else:
            own[arguments.pop(0)] = word
    return lambda: perform(module, module.Options(**own), Common(**common))


@contextmanager
def interruptible() -> Iterator[None]:
    """While entered, SIGINT raises ``KeyboardInterrupt``, unless the process ignores it or handles it itself."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
