"""The root help by groups, and the examples that end each command's help."""

from jobctl.cli.words import COMMANDS, COMMON, GROUPS, HELP, VERSION, Command, Option


def overview() -> str:
    """What ``jobctl`` alone shows."""
    lines = [
        "Usage: jobctl COMMAND [OPTIONS]",
        "",
        "Runs the background jobs of an Ever Works site, and your own.",
    ]
    for group in GROUPS:
        lines += ["", f"{group}:"]
        lines += [f"  {name:<11} {one.summary}" for name, one in COMMANDS.items() if one.group == group]
    lines += ["", "Options, of every command:"]
    lines += [_option(name, one) for name, one in {**COMMON, "--version": VERSION, "--help": HELP}.items()]
    lines += ["", "Examples:", "  $ jobctl run", "  $ jobctl trigger repository-sync", "  $ jobctl mode"]
    return "\n".join(lines)


def examples(command: Command) -> str:
    """The last part of a command's help."""
    return "\n".join(["", "Examples:", *(f"  $ {one}" for one in command.examples), ""])


def _option(name: str, option: Option) -> str:
    names = f"{option.short}, {name}" if option.short else f"    {name}"
    value = "|".join(option.choices) or option.value
    return f"  {f'{names} {value}'.rstrip():<30} {option.help}"
