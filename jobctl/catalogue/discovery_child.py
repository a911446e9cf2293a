"""The child process that imports modules and reports the jobs in them, or what functions take.

Run as ``python -P -m jobctl.catalogue.discovery_child MODULE...``, or with ``MODULE:FUNCTION`` arguments, in the
project's folder. Its answer, one line of JSON, goes to the original standard output; the modules' own output goes to
standard error.
"""

import json
import os
import signal
import sys
from importlib import import_module
from typing import Any, NoReturn, TextIO

from jobctl.catalogue.decorator import ATTRIBUTE

_MAX_ERROR = 100_000  # characters; far more than are shown, because it is masked before it is cut
_LIFETIME_S = 90


def main() -> None:
    """Entry point of ``python -m``."""
    signal.alarm(_LIFETIME_S)  # in case the parent is gone
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    folder = os.getcwd()  # noqa: PTH109
    names = sys.argv[1:]
    sys.path.insert(0, folder)
    if ":" in names[0]:
        _exit(answer, {"functions": [_describe(target, folder) for target in names]})
    before = set(sys.modules)
    jobs: dict[str, dict[str, Any]] = {}  # by function: several modules may import the same
    for name in names:
        try:
            for job in _jobs_of(import_module(name), folder):
                jobs.setdefault(job["settings"]["call"], job)
        except BaseException as error:
            _exit(answer, {"error": _fault(name, error, folder)})
    _exit(answer, {"jobs": list(jobs.values()), "files": _files(before, folder, names)})


def _exit(answer: TextIO, data: dict[str, Any]) -> NoReturn:
    answer.write(json.dumps(data) + "\n")
    answer.flush()
    os._exit(0)  # without waiting for threads that the modules started


def _describe(target: str, folder: str) -> dict[str, Any]:
    """The schema of a function's arguments, or why a worker could not call it."""
    from jobctl.signature import schema_of

    module, _, path = target.partition(":")
    try:
        function: Any = import_module(module)
        for name in path.split("."):
            function = getattr(function, name)
    except BaseException as error:
        return {"fault": _fault(module, error, folder)}
    if callable(function):
        return {"schema": schema_of(function)}
    why = f"{path} is not a function, but {type(function).__name__}"
    return {"fault": {"module": module, "where": module, "error": why}}


def _jobs_of(module: Any, folder: str) -> list[dict[str, Any]]:
    """The jobs that are defined in a module or below it."""
    found = []
    for value in vars(module).values():
        definition = getattr(value, ATTRIBUTE, None)
        home = str(getattr(value, "__module__", ""))
        if isinstance(definition, dict) and f"{home}.".startswith(f"{module.__name__}."):
            file = _relative(getattr(sys.modules.get(home), "__file__", None) or home, folder)
            found.append({**definition, "origin": f"{file}:{definition['line']}"})
    return found


def _fault(name: str, error: BaseException, folder: str) -> dict[str, str]:
    """An exception, with the innermost line of the project that it passed through."""
    where = name
    trace = error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if file.startswith(folder + os.sep):
            where = f"{_relative(file, folder)}:{trace.tb_lineno}"
        trace = trace.tb_next
    return {"module": name, "where": where, "error": f"{type(error).__name__}: {error}"[:_MAX_ERROR]}


def _files(before: set[str], folder: str, names: list[str]) -> list[list[Any]]:
    """The imported files of the project and of these modules' packages, each with time and size, to detect changes."""
    packages = {name.partition(".")[0] for name in names}
    found = []
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None)
        if file and (file.startswith(folder + os.sep) or name.partition(".")[0] in packages):
            state = os.stat(file)  # noqa: PTH116
            found.append([file, state.st_mtime_ns, state.st_size])
    return sorted(found)


def _relative(file: str, folder: str) -> str:
    return os.path.relpath(file, folder) if file.startswith(folder + os.sep) else file


if __name__ == "__main__":
    main()
