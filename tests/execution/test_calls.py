"""What a function may do, and what its run then says."""

from typing import Any

import pytest

from jobctl.model import Reason


def test_a_value_is_kept_and_times_fit(bench: Any) -> None:
    run = bench.call("return {'a': [1, None, 'ü']}")
    assert (run.reason, run.error, run.result) == (None, None, {"a": [1, None, "ü"]})
    began = bench.started[run.run_id][0]
    assert began.at == run.started_at <= run.finished_at
    assert (began.pid, run.pid) == (run.pid, began.pid)
    assert run.finished_at - run.started_at >= run.duration / 2


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("raise ValueError('no [red]luck[/red]')", "ValueError: no [red]luck[/red]"),
        ("raise ValueError('two\\n  lines')", "ValueError: two lines"),
        ("raise KeyError", "KeyError"),
        ("raise SystemExit(3)", "exited with code 3"),
        ("import sys; sys.exit('nothing to do')", "nothing to do"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("raise ValueError('\\udcff \\x1b[31m \\x00')", "ValueError: \\udcff \\x1b[31m \\x00"),
        (
            "class Odd(Exception):\n    def __str__(self): raise RuntimeError\nraise Odd",
            "Odd: (its text cannot be shown)",
        ),
        ("class Odd(Exception):\n    retry = property(lambda self: 1 / 0)\nraise Odd('x')", "Odd: x"),
        ("import no_such_module_here", "ModuleNotFoundError: No module named 'no_such_module_here'"),
    ],
)
def test_an_error_is_one_printable_line(bench: Any, body: str, error: str) -> None:
    run = bench.call(body)
    assert (run.reason, run.error, run.retry) == (Reason.ERROR, error, True)


def test_a_long_error_is_cut_and_the_traceback_is_in_the_log(bench: Any) -> None:
    run = bench.call("secret_local = 'hidden' + 'value'\nraise ValueError('x' * 100_000)")
    assert len(run.error) <= 2000
    log = bench.log(run)
    assert "Traceback" in log
    assert "in main" in log
    assert "hiddenvalue" not in log
    assert "calling.py" not in log


def test_endless_recursion_is_an_error(bench: Any) -> None:
    run = bench.call("def f(): f()\nf()")
    assert run.reason is Reason.ERROR
    assert run.error.startswith("RecursionError: ")
    assert len(bench.log(run)) < 20_000


@pytest.mark.parametrize("body", ["raise SystemExit", "import sys; sys.exit(0)"])
def test_leaving_with_zero_is_done(bench: Any, body: str) -> None:
    run = bench.call(body)
    assert (run.reason, run.error) == (None, None)


@pytest.mark.parametrize(
    "value",
    ["object()", "{1, 2}", "float('nan')", "'x' * 2_000_000", "b'bytes'", "deep"],
)
def test_a_result_that_is_not_json_or_too_large_is_not_kept_and_reported(bench: Any, value: str) -> None:
    run = bench.call(f"deep = []\nfor _ in range(700): deep = [deep]\nreturn {value}")
    assert (run.reason, run.result) == (None, None)
    assert "was not kept" in "\n".join(bench.lines(run))


def test_lone_surrogates_in_a_result_become_visible(bench: Any) -> None:
    run = bench.call("return {'\\udcff': ['\\udcff']}")
    assert run.result == {"\\udcff": ["\\udcff"]}


def test_a_job_result_keeps_its_fields_and_may_fail_the_run(bench: Any) -> None:
    good = bench.call("from jobctl import JobResult\nreturn JobResult(processed=3, successful=3)")
    assert (good.reason, good.result["processed"], good.result["success"]) == (None, 3, True)
    assert isinstance(good.result["duration_ms"], int)
    bad = bench.call("from jobctl import JobResult\nreturn JobResult(success=False, errors=('no mail',))")
    assert (bad.reason, bad.error, bad.result["errors"]) == (Reason.ERROR, "no mail", ["no mail"])
    odd = bench.call("from jobctl import JobResult\nreturn JobResult(details=7, errors=None)")
    assert odd.reason is Reason.ERROR
    assert "JobResult" in odd.error


def test_some_errors_ask_not_to_be_tried_again(bench: Any) -> None:
    ours = bench.call("from jobctl import PermanentJobError\nraise PermanentJobError('the token is wrong')")
    assert (ours.error, ours.retry) == ("the token is wrong", False)
    theirs = bench.call("error = ValueError('x')\nerror.retry = False\nraise error")
    assert (theirs.error, theirs.retry) == ("ValueError: x", False)


def test_an_async_function_is_awaited(bench: Any) -> None:
    bench.write("import asyncio\nasync def main():\n    await asyncio.sleep(0)\n    return 7\n")
    assert bench.run("work:main").result == 7


def test_a_dry_run_is_passed_on_and_a_method_can_be_named(bench: Any) -> None:
    bench.write("class Jobs:\n    @staticmethod\n    def main(dry_run=False): return dry_run\n")
    assert bench.run("work:Jobs.main").result is False
    assert bench.run("work:Jobs.main", arguments={"dry_run": True}).result is True


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("work:mian", 'module work has no function "mian"; did you mean "main"?'),
        ("work:NUMBER", "work:NUMBER is no function, but int"),
        ("wrok:main", "No module named 'wrok'"),
    ],
)
def test_a_missing_function_is_reported(bench: Any, target: str, words: str) -> None:
    bench.write("NUMBER = 1\ndef main(): pass\n")
    run = bench.run(target)
    assert run.reason is Reason.ERROR
    assert words in run.error


def test_a_program_runs_in_the_project_and_its_exit_code_counts(bench: Any) -> None:
    good = bench.program("sh", "-c", "pwd; echo oops >&2")
    assert (good.reason, good.result) == (None, None)
    assert bench.lines(good) == [str(bench.folder), "oops"]
    assert bench.program("sh", "-c", "exit 7").error == '"sh" exited with code 7'
    killed = bench.program("sh", "-c", "kill -9 $$")
    assert (killed.reason, killed.error) == (Reason.CRASHED, '"sh" was killed by signal SIGKILL')
    assert "signal 40" in bench.program("sh", "-c", "kill -40 $$").error


@pytest.mark.parametrize("name", ["no-such-program-here", "./work.py", "."])
def test_a_program_that_cannot_be_started_is_reported_and_not_retried(bench: Any, name: str) -> None:
    bench.write("")
    run = bench.program(name)
    assert (run.reason, run.retry) == (Reason.ERROR, False)
    assert f'"{name}" cannot be started' in run.error


def test_a_module_beside_the_application_can_be_imported(bench: Any, tmp_path: Any, monkeypatch: Any) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "beside.py").write_text("def main(): return 'found'\n")
    monkeypatch.syspath_prepend(elsewhere)
    assert bench.run("beside:main").result == "found"


def test_secrets_leave_neither_by_output_nor_error_nor_result(make_bench: Any) -> None:
    bench = make_bench(secrets=["hunter2hunter2", "line one\nline two"])
    run = bench.call(
        "print('password hunter2hunter2')\nprint('line one\\nline two')\n"
        "print('x' * 8189 + 'hunter2hunter2' + 'y' * 9000)\n"
        "print('(hunter2hunter2')\nreturn {'hunter2hunter2': ['a hunter2hunter2']}"
    )
    failed = bench.call("raise ValueError('hunter2hunter2')")
    told = repr(bench.outcomes) + bench.log(run) + bench.log(failed)
    assert "hunter2" not in told
    assert "line two" not in told
    assert failed.error == "ValueError: ••••"
    assert run.result == {"••••": ["a ••••"]}
