"""The Typer application. It imports only the module of the command that is called."""

import inspect
import io
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from keyword import iskeyword
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from jobctl import __version__
from jobctl.cli.command_data import ALIASES
from jobctl.cli.context import Context
from jobctl.cli.error_output import exit_code_of
from jobctl.cli.options import COMMON_OPTIONS
from jobctl.cli.output import Common, Output
from jobctl.cli.terminal import NARROW, Terminal
from jobctl.errors import UsageError
from jobctl.text import quote, suggestion

if TYPE_CHECKING:
    from rich.console import RenderableType

PANELS = {
    "Run": ("run", "trigger", "rerun", "backfill", "serve"),
    "Inspect": (
        "status",
        "watch",
        "runs",
        "logs",
        "metrics",
        "mode",
        "next",
        "explain",
        "plan",
        "analytics",
        "report",
    ),
    "Change": ("cancel", "stop", "start"),
    "Set up": ("check", "export", "new", "import", "install", "uninstall", "help", "completion"),
}
"""Every command, in the order of the help, by what it is for."""
_NAMES = [*(name for names in PANELS.values() for name in names), *ALIASES]
_HELP_NAMES = {"help_option_names": ["-h", "--help"]}


class _WithHelp:
    """A command whose help is shown by ``show_help``."""

    def get_help_option(self, ctx: Any) -> Any:
        """Typer's option with our callback."""
        option = super().get_help_option(ctx)  # type: ignore[misc]
        if option is not None:
            option.help = "Show this help."
            option.rich_help_panel = "Common"
            option.callback = _help
        return option


def _help(ctx: Any, param: Any, value: Any) -> None:
    del param
    if value and not ctx.resilient_parsing:
        show_help(ctx)
        raise typer.Exit


class CommandWithHelp(_WithHelp, TyperCommand):
    """One command."""


class Root(_WithHelp, TyperGroup):
    """The program. It imports the module of a command when that command is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        """All names, in the order of the root help."""
        del ctx
        return _NAMES

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Build the command."""
        del ctx
        return build(cmd_name) if cmd_name in _NAMES else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command. An unknown name is an error that suggests a similar command."""
        name = args[0]
        if name not in _NAMES and not name.startswith("-"):
            raise UsageError(
                f"there is no command {quote(name)}",
                hint=suggestion(name, _NAMES, "all commands: jobctl --help"),
            )
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Accept common options before the command, too."""
        return super().parse_args(ctx, common_last(args))

    def main(self, args: Sequence[str] | None = None, *others: Any, **settings: Any) -> NoReturn:
        """Run the command and leave the process with its exit code."""
        del others
        words = list(sys.argv[1:] if args is None else args)
        settings |= {"standalone_mode": False, "prog_name": "jobctl"}
        sys.exit(exit_code_of(lambda: super(Root, self).main(words, **settings), words))


def build(name: str) -> Any:
    """The command of this name, from its module's function ``run`` and the common options."""
    main_name = ALIASES.get(name, name)
    module = command_module(main_name)
    help_text, _, examples = (inspect.getdoc(module.run) or "").partition("\n\nExamples:\n")
    single = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    single.command(
        name,
        cls=CommandWithHelp,
        help=help_text,
        epilog=examples.replace(f"jobctl {main_name}", f"jobctl {name}"),
        rich_help_panel=next(panel for panel, names in PANELS.items() if main_name in names),
        context_settings=_HELP_NAMES,
    )(_with_common_options(module, name))
    return typer.main.get_command(single)


def command_module(name: str) -> Any:
    """The module of a command; that of a keyword of Python has an underscore at its end."""
    return import_module(f"jobctl.cli.commands.{name}{'_' if iskeyword(name) else ''}")


def _with_common_options(module: Any, name: str) -> Callable[..., int]:
    def command(**values: Any) -> int:
        common = Common(**{field: values.pop(field) for field in Common._fields})
        with _interruptible():
            context = Context(common, command=name)
            try:
                code: int = module.run(context, **values)
            finally:
                context.close()
        return code

    _, *own = inspect.signature(module.run).parameters.values()
    command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [parameter.replace(kind=parameter.KEYWORD_ONLY) for parameter in own]
        + [
            inspect.Parameter(
                field,
                inspect.Parameter.KEYWORD_ONLY,
                default=Common._field_defaults[field],
                annotation=Annotated[annotation, COMMON_OPTIONS[field]],
            )
            for field, annotation in Common.__annotations__.items()
        ]
    )
    return command


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


def common_last(words: list[str]) -> list[str]:
    """Move common options behind the command: ``--json status`` becomes ``status --json``."""
    moved: list[str] = []
    rest = list(words)
    while rest and rest[0].startswith("-"):
        from jobctl.cli.command_data import COMMON

        name, assigned, _ = rest[0].partition("=")
        long = next((long for long, option in COMMON.items() if name in {long, option.short}), "")
        if long.removeprefix("--") not in Common._fields:
            break
        moved.append(rest.pop(0))
        if not (COMMON[long].is_flag or assigned) and rest:
            moved.append(rest.pop(0))
    return [*rest[:1], *moved, *rest[1:]] if rest else moved


def _root(
    context: typer.Context,
    *,
    version: Annotated[
        bool, typer.Option("--version", "-V", help="Show the version.", is_eager=True)
    ] = False,
) -> int:
    if version:
        typer.echo(f"jobctl {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        show_help(context)
        raise typer.Exit
    return 0


app = typer.Typer(
    cls=Root,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    invoke_without_command=True,
    context_settings=_HELP_NAMES,
)
app.callback()(_root)


def main(words: list[str]) -> NoReturn:
    """Run a command and leave the process with its exit code."""
    typer.main.get_command(app).main(words)
    raise AssertionError("Root.main leaves the process")


def help_on(name: str | None, output: Output) -> None:
    """Show the help of a command, or of the whole program."""
    command = build(name) if name else typer.main.get_command(app)
    show_help(
        command.make_context(f"jobctl {name}" if name else "jobctl", [], resilient_parsing=True), output
    )


def show_help(ctx: Any, output: Output | None = None) -> None:
    """Show the help of a command: drawn by Typer and paged on a terminal, plain in a pipe; as JSON if asked for."""
    output = output or Output(Common.guess(sys.argv[1:]), os.environ)
    command = ctx.command
    if isinstance(command, Root):
        _show(output, "jobctl", _overview_on_terminal, _overview)
        return
    examples = [line.strip() for line in command.epilog.split("\n") if line.strip()]

    def plain() -> list[str]:
        command.epilog = None
        text = command.get_help(ctx).rstrip()
        return [*text.split("\n"), "", "Examples:", *(f"  $ {example}" for example in examples)]

    def drawn(terminal: Terminal) -> "Iterator[RenderableType]":
        from rich.text import Text

        if terminal.width < NARROW:  # Typer's panels would cut the names of options
            ctx.terminal_width = terminal.width
            yield from map(terminal.text, plain())
            return
        command.epilog = "\n".join(["\b", "Examples:", *(f"  $ {example}" for example in examples)]).replace(
            "[", "\\["
        )
        yield Text.from_ansi(_drawn_by_typer(ctx, terminal))

    _show(output, command.name, drawn, plain)


def _show(
    output: Output,
    topic: str,
    drawn: "Callable[[Terminal], Iterable[RenderableType]]",
    plain: Callable[[], list[str]],
) -> None:
    if output.json:
        output.document({"topic": topic, "text": "\n".join(plain())})
    else:
        output.page(drawn, plain)


def _drawn_by_typer(ctx: Any, terminal: Terminal) -> str:
    """A command's help as drawn by Typer, which takes width and colours from its module, not from arguments."""
    from typer import rich_utils

    rich_utils.MAX_WIDTH = terminal.width
    rich_utils.FORCE_TERMINAL = True
    rich_utils.COLOR_SYSTEM = "standard"
    ctx.command.rich_markup_mode = "rich"
    buffer = io.TextIOWrapper(io.BytesIO(), encoding="utf-8" if terminal.unicode else "ascii")
    with redirect_stdout(buffer):
        ctx.command.format_help(ctx, ctx.make_formatter())
        buffer.flush()
    buffer.seek(0)
    return buffer.read().rstrip()


_USAGE = "Usage: jobctl COMMAND [OPTIONS]     background jobs of a site, and your own"
_BEGIN = "Begin   run --demo   help getting-started   help COMMAND   completion SHELL"


def _overview() -> list[str]:
    """The help of the whole program: each command on a line. It fits a terminal of 24 lines."""
    rows = [f"{panel:<7} {name:<13} {summary}" for panel, name, summary in _commands()]
    return [_USAGE, *rows, _common(), _BEGIN]


def _overview_on_terminal(terminal: Terminal) -> "Iterator[RenderableType]":
    from rich.table import Table

    yield terminal.text(_USAGE)
    grid = Table.grid(padding=(0, 1, 0, 0))
    for style in ("bold", "cyan", ""):
        grid.add_column(style=style, no_wrap=bool(style))
    for panel, name, summary in _commands():
        grid.add_row(f"{panel:<7}", f"{name:<13}", summary)
    yield grid
    yield terminal.text(_common(), "dim")
    yield terminal.text(_BEGIN, "dim")


def _commands() -> Iterator[tuple[str, str, str]]:
    """Panel, names and summary of each command; a panel is named once.

    But for ``help`` and ``completion``, which the last line shows, and those that stand with others: ``watch``,
    ``explain``, ``report``, ``import`` and ``uninstall``.
    """
    from jobctl.cli.command_data import COMMANDS

    for panel, names in PANELS.items():
        for name in names:
            if name not in {"help", "completion", "watch", "explain", "report", "import", "uninstall"}:
                aliases = (alias for alias, named in ALIASES.items() if named == name)
                yield panel if name == names[0] else "", ", ".join((name, *aliases)), COMMANDS[name].summary


def _common() -> str:
    from jobctl.cli.command_data import COMMON

    names = (f"{option.short or long} {option.value}".rstrip() for long, option in COMMON.items())
    return f"Each    {'  '.join(names)} (options, examples)"
