"""The child that imports modules and answers which jobs they define, or whether functions are in them.

Run as ``python -P -m jobctl.catalogue.discovery_child MODULE...``, or with ``MODULE:FUNCTION`` words, in the
project's folder. Its one JSON
document goes to the standard output that it was started with; whatever the modules print goes to
standard error.
"""

import json
import os
import signal
import sys
from importlib import import_module
from typing import Any, NoReturn, TextIO

from jobctl.catalogue.decorator import ATTRIBUTE

_MOST = 100_000  # characters; far more than are shown, for it is masked before it is cut
_LIFETIME_S = 90


def main() -> None:
    """Entry of ``python -m``."""
    signal.alarm(_LIFETIME_S)  # should whoever asked be gone
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    folder = os.getcwd()  # noqa: PTH109
    sys.path.insert(0, folder)
    if ":" in sys.argv[1]:
        _end(answer, {"faults": [_missing(one, folder) for one in sys.argv[1:]]})
    before = set(sys.modules)
    jobs: dict[str, dict[str, Any]] = {}  # by function: one may be had from several modules
    for name in sys.argv[1:]:
        try:
            for one in _jobs_of(import_module(name), folder):
                jobs.setdefault(one["settings"]["call"], one)
        except BaseException as error:
            _end(answer, {"error": _fault(name, error, folder)})
    _end(answer, {"jobs": list(jobs.values()), "files": _files(before, folder, sys.argv[1:])})


def _end(answer: TextIO, data: dict[str, Any]) -> NoReturn:
    answer.write(json.dumps(data) + "\n")
    answer.flush()
    os._exit(0)  # whatever threads the modules started


def _missing(target: str, folder: str) -> dict[str, str] | None:
    """Why a worker could not call it; None where it can."""
    module, _, path = target.partition(":")
    try:
        found: Any = import_module(module)
        for name in path.split("."):
            found = getattr(found, name)
    except BaseException as error:
        return _fault(module, error, folder)
    if callable(found):
        return None
    return {"module": module, "where": module, "error": f"{path} is no function, but {type(found).__name__}"}


def _jobs_of(module: Any, folder: str) -> list[dict[str, Any]]:
    """Those that it defines, and those that it has from modules below it."""
    found = []
    for value in vars(module).values():
        definition = getattr(value, ATTRIBUTE, None)
        home = str(getattr(value, "__module__", ""))
        if isinstance(definition, dict) and f"{home}.".startswith(f"{module.__name__}."):
            file = _relative(getattr(sys.modules.get(home), "__file__", None) or home, folder)
            found.append({**definition, "origin": f"{file}:{definition['line']}"})
    return found


def _fault(name: str, error: BaseException, folder: str) -> dict[str, str]:
    where = name
    trace = error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if file.startswith(folder + os.sep):
            where = f"{_relative(file, folder)}:{trace.tb_lineno}"
        trace = trace.tb_next
    return {"module": name, "where": where, "error": f"{type(error).__name__}: {error}"[:_MOST]}


def _files(before: set[str], folder: str, asked: list[str]) -> list[list[Any]]:
    """The files of the project and of these modules' packages that were loaded, and what tells of a change."""
    packages = {name.partition(".")[0] for name in asked}
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
