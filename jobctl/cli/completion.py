"""TAB completion of commands, options, their values and job ids, without loading Typer.

The shells' scripts call ``jobctl`` with ``_JOBCTL_COMPLETE`` set to the shell's name and the words
of the line up to the cursor as arguments; the last one is unfinished.
"""

import os
import sys
from collections.abc import Iterable
from contextlib import suppress

from jobctl.cli.command_data import COMMANDS, COMMON, JOB_ARGUMENTS, JOBS, ROOT_OPTIONS, Option
from jobctl.text import printable

Candidates = Iterable[tuple[str, str]]


def answer(shell: str, words: list[str]) -> int:
    """Print the candidates for a shell and return the exit code. On an error nothing is printed."""
    try:
        found = candidates(joined(words) if shell == "bash" else words, whole=shell != "bash")
        text = "".join(f"{_form(shell, value, note)}\n" for value, note in found)
        sys.stdout.write(text)
        sys.stdout.flush()
    except Exception:
        return 1
    return 0


def candidates(words: list[str], *, whole: bool = True) -> list[tuple[str, str]]:
    """Completions of the last word, each with its help.

    Args:
        words: of the line, without ``jobctl``; the last one is unfinished, perhaps empty.
        whole: whether candidates for ``--option=va`` repeat the ``--option=``.
    """
    *before, last = words or [""]
    name, rest = _command(before)
    options = {**(COMMANDS[name].options if name else ROOT_OPTIONS), **COMMON}
    named, assigned, begun = last.partition("=")
    if assigned and named.startswith("-"):
        prefix = f"{named}=" if whole else ""
        return [(prefix + value, note) for value, note in _values(options.get(named), begun, before)]
    waiting = _long(rest[-1], options) if rest else None
    if waiting is not None and not waiting.is_flag:
        return _values(waiting, last, before)
    if last.startswith("-"):
        return _matching(((long, option.help) for long, option in options.items() if long not in rest), last)
    if name is None:
        return _matching(((command, entry.summary) for command, entry in COMMANDS.items()), last)
    offers, given = COMMANDS[name].arguments, _positionals(rest, options)
    following = offers[len(given) :] or offers[-1:]
    if following == (JOB_ARGUMENTS,):
        return _job_arguments(given[0], last, before, whole=whole)
    return _offered(following[0], last, before) if offers[len(given) :] else []


def joined(words: list[str]) -> list[str]:
    """Join ``--color``, ``=`` and ``al``, into which Bash splits ``--color=al``; so too ``kind=old``."""
    whole: list[str] = []
    for word in words:
        if whole and (word == "=" or whole[-1].endswith("=")) and _is_name(whole[-1]):
            whole[-1] += word
        else:
            whole.append(word)
    return whole


def _is_name(word: str) -> bool:
    """Whether a word is the name of an option or argument, perhaps with the equals sign."""
    return word.strip("-=").replace("-", "_").isidentifier()


def _command(before: list[str]) -> tuple[str | None, list[str]]:
    """The command on the line and the words after it; None and all words if there is no command."""
    skip = False
    for at, word in enumerate(before):
        if skip:
            skip = False
        elif word in COMMANDS:
            return word, before[at + 1 :]
        else:
            skip = word in COMMON and not COMMON[word].is_flag
    return None, before


def _long(word: str, options: dict[str, Option]) -> Option | None:
    return options.get(word) or next(
        (option for option in options.values() if option.short and option.short == word), None
    )


def _positionals(rest: list[str], options: dict[str, Option]) -> list[str]:
    found = []
    skip = False
    for word in rest:
        if skip:
            skip = False
        elif word.startswith("-"):
            option = _long(word, options)
            skip = option is not None and not option.is_flag
        else:
            found.append(word)
    return found


def _values(option: Option | None, begun: str, before: list[str]) -> list[tuple[str, str]]:
    return _offered(option.offers, begun, before) if option is not None else []


def _offered(offers: tuple[str, ...], begun: str, before: list[str]) -> list[tuple[str, str]]:
    if offers == JOBS:
        return matching_jobs(begun, before)
    return _matching(((value, "") for value in offers), begun)


def matching_jobs(begun: str, before: list[str]) -> list[tuple[str, str]]:
    """Ids that begin with ``begun``, each with the job's name. The words ``before`` it may name the project."""
    from jobctl.catalogue.catalogue import job_names

    return _matching(job_names(_project_folder(before)), begun)


def _job_arguments(job_id: str, begun: str, before: list[str], *, whole: bool) -> list[tuple[str, str]]:
    """``NAME=`` for each parameter of a job that has no argument yet, or the values of the one that is begun."""
    from jobctl.catalogue.catalogue import job_settings
    from jobctl.catalogue.parameter_names import parameters_in_source
    from jobctl.files import with_home
    from jobctl.project_location import find_project

    folder = _project_folder(before)
    target = job_settings(folder).get(job_id, {}).get("call")
    if not isinstance(target, str):
        return []
    source = find_project(with_home(folder, "--project")).folder
    parameters = {each.name: each for each in parameters_in_source(target, source)}
    name, assigned, value = begun.partition("=")
    if assigned:
        prefix = f"{name}=" if whole else ""
        choices = parameters[name].choices if name in parameters else ()
        return [(prefix + each, "") for each in choices if each.startswith(value)]
    given = {word.partition("=")[0] for word in before if "=" in word}
    return _matching(
        ((f"{name}=", each.hint) for name, each in parameters.items() if name not in given), begun
    )


def _project_folder(before: list[str]) -> str:
    """The folder that the words name, or the environment."""
    folder = os.environ.get("JOBCTL_PROJECT") or "."
    for at, word in enumerate(before):
        if word == "--project" and at + 1 < len(before):
            folder = _unquoted(before[at + 1])
        elif word.startswith("--project="):
            folder = _unquoted(word.partition("=")[2])
    return folder


def _unquoted(word: str) -> str:
    """A word without its quotes and backslashes."""
    if not any(sign in word for sign in "\"'\\"):
        return word
    import shlex

    with suppress(ValueError):  # a quote that is not closed yet
        return "".join(shlex.split(word))
    return word


def _matching(found: Candidates, begun: str) -> list[tuple[str, str]]:
    return [(value, note) for value, note in found if value.startswith(begun)]


def _form(shell: str, value: str, note: str) -> str:
    value, plain = printable(value), printable(" ".join(note.split()))
    if not note or shell == "bash":
        return value
    if shell == "zsh":
        return value.replace(":", "\\:") + ":" + plain
    return f"{value}\t{plain}"
