"""The Typer application: it knows every command by name and builds only the one that is asked for."""

import inspect
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from types import ModuleType
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from jobctl import __version__
from jobctl.cli.error_output import conclude
from jobctl.cli.options import Common, behind_command, common_options
from jobctl.cli.output import Output
from jobctl.cli.perform import perform
from jobctl.cli.views.help import overview, overview_screen, piped, screen
from jobctl.cli.words import COMMANDS, HELP, VERSION
from jobctl.errors import UsageError
from jobctl.text import quote, suggestion

_HELP = {"help_option_names": ["-h", "--help"]}


class _Helpful:
    """A command that draws its help itself."""

    def get_help_option(self, ctx: Any) -> Any:
        """In the words that TAB shows."""
        option = super().get_help_option(ctx)  # type: ignore[misc]
        if option is not None:
            option.help = HELP.help
            option.callback = _help
        return option


def _help(ctx: Any, param: Any, value: Any) -> None:
    del param
    if value and not ctx.resilient_parsing:
        show_help(ctx)
        raise typer.Exit


def show_help(ctx: Any) -> None:
    """The help of a parsed call's command: paged at a terminal, plain in a pipe."""
    output = Output(Common.guess(sys.argv[1:]), os.environ)
    if isinstance(ctx.command, Root):
        output.page(overview_screen, overview)
        return
    name = ctx.command.name
    usage = f"Usage: jobctl {name} {' '.join(ctx.command.collect_usage_pieces(ctx))}"
    operands = [
        one.metavar for one in ctx.command.params if one.param_type_name == "argument" and not one.hidden
    ]
    output.page(
        lambda terminal: screen(usage, name, operands, terminal), lambda: piped(usage, name, operands)
    )


def help_on(name: str | None) -> None:
    """The help of a command, or of the whole program."""
    command = build(name) if name else typer.main.get_command(app)
    show_help(command.make_context(name or "jobctl", [], resilient_parsing=True))


class Command(_Helpful, TyperCommand):
    """A command whose help shows values, defaults and real invocations."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The usage line's words, without an argument that is taken only to be refused."""
        return [piece for piece in super().collect_usage_pieces(ctx) if piece != "[]"]


class Root(_Helpful, TyperGroup):
    """The root. It imports a command's module when that command is called, and no other."""

    def list_commands(self, ctx: Any) -> list[str]:
        """All names, in the order of the root help."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Build one command."""
        del ctx
        return build(cmd_name) if cmd_name in COMMANDS else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command, or which one was probably meant."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            raise UsageError(
                f"there is no command {quote(name)}",
                hint=suggestion(name, COMMANDS, "all commands: jobctl --help"),
            )
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Common options may stand before the command too."""
        return super().parse_args(ctx, behind_command(args))

    def main(self, args: Sequence[str] | None = None, *others: Any, **settings: Any) -> NoReturn:
        """Run the command and leave the process with its exit code."""
        del others
        words = list(sys.argv[1:] if args is None else args)
        settings["standalone_mode"] = False
        settings["prog_name"] = "jobctl"
        sys.exit(conclude(lambda: super(Root, self).main(words, **settings), words))


def build(name: str) -> Any:
    """The command of this name, from its module's ``Options`` and ``run``."""
    module = import_module(f"jobctl.cli.commands.{name}")
    single = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    single.command(name, cls=Command, context_settings=_HELP)(callback(module))
    return typer.main.get_command(single)


def callback(module: ModuleType) -> Callable[..., int]:
    """What Typer calls: it takes the command's ``Options`` and the common ones, and has the command run."""

    def command(**values: Any) -> int:
        taken = {one: values.pop(one) for one in common}
        taken["color"] = taken["color"].value
        return perform(module, module.Options(**values), Common(**taken))

    common = common_options()
    own = module.Options
    parameters = {
        **{
            one: (kind.__origin__, kind.__metadata__[0], own._field_defaults[one])
            for one, kind in own.__annotations__.items()
        },
        **common,
    }
    command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(
                one,
                inspect.Parameter.KEYWORD_ONLY,
                default=default,
                annotation=Annotated[kind, declared.parameter()],
            )
            for one, (kind, declared, default) in parameters.items()
        ]
    )
    return command


def _root(
    context: typer.Context,
    *,
    version: Annotated[bool, typer.Option("--version", "-V", help=VERSION.help, is_eager=True)] = False,
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
    context_settings=_HELP,
)
app.callback()(_root)


def main(args: list[str]) -> NoReturn:
    """Run a command and leave the process with its exit code."""
    typer.main.get_command(app).main(args)
    raise AssertionError("Root.main leaves the process")
