"""The root help, which fits a small terminal, and the examples that end each command's help."""

from collections.abc import Iterator

from jobctl.cli.words import COMMANDS, COMMON, GROUPS, HELP, Command, Option


def overview() -> str:
    """What ``jobctl`` alone shows: each command on a line, by what it is for."""
    options = "  ".join(_brief(name, one) for name, one in {**COMMON, "--help": HELP}.items())
    return "\n".join(
        [
            "Usage: jobctl COMMAND [OPTIONS]     background jobs of a site, and your own",
            "",
            *(line for group in GROUPS for line in _group(group)),
            f"Each    {options} (options, examples)",
            "Begin   jobctl run --demo     jobctl mode     jobctl --version",
        ]
    )


def examples(command: Command) -> str:
    """The last part of a command's help."""
    return "\n".join(["", "Examples:", *(f"  $ {one}" for one in command.examples), ""])


def _group(group: str) -> Iterator[str]:
    label = group
    for name, one in COMMANDS.items():
        if one.group == group:
            yield f"{label:<7} {name:<11} {one.summary}"
            label = ""


def _brief(name: str, option: Option) -> str:
    return f"{option.short or name} {option.value}".rstrip()
