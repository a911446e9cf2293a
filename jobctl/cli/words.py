"""Every command and option, said once: help shows it, and TAB answers from it without loading Typer."""


class Option:
    """One option of a command.

    Attributes:
        help: one clause.
        value: how its value is called in help; empty for a flag.
        choices: the values it takes, where these are few.
        short: its one-letter form.
        default: what counts where it is not given; empty where that is nothing.
    """

    __slots__ = ("choices", "default", "help", "short", "value")

    def __init__(
        self,
        help: str,  # noqa: A002
        value: str = "",
        choices: tuple[str, ...] = (),
        short: str = "",
        default: str = "",
    ) -> None:
        self.help = help
        self.value = value
        self.choices = choices
        self.short = short
        self.default = default

    @property
    def text(self) -> str:
        """The help with the default."""
        return f"{self.help} [default: {self.default}]" if self.default else self.help

    def names(self, long: str) -> str:
        """How it is written: ``-n, --count N``."""
        value = "|".join(self.choices) or self.value
        return f"{f'{self.short}, ' if self.short else ''}{long} {value}".rstrip()


class Command:
    """One command.

    Attributes:
        group: where the root help lists it.
        summary: one clause.
        argument: what its positional argument is: ``job``, ``run`` (a job or a run), a kind in ``NAMES``; empty
            where TAB has nothing to offer.
        options: its own, besides ``COMMON``.
        examples: real invocations that end its help.
    """

    __slots__ = ("argument", "examples", "group", "options", "summary")

    def __init__(
        self, group: str, summary: str, argument: str, options: dict[str, Option], examples: tuple[str, ...]
    ) -> None:
        self.group = group
        self.summary = summary
        self.argument = argument
        self.options = options
        self.examples = examples


SHELLS = ("bash", "zsh", "fish")
NAMES = {
    "shell": SHELLS,
    "analytic": ("user-growth", "activity-trends", "top-items", "recent-activity", "performance-metrics"),
    "report": ("daily", "weekly", "monthly", "quarterly"),
    "platform": ("trigger-dev", "vercel", "schema"),
    "service": ("systemd",),
    "help": (
        "getting-started",
        "jobs",
        "schedules",
        "running",
        "library",
        "site",
        "mail",
        "trigger-dev",
        "vercel",
        "http",
        "several-machines",
        "observability",
        "deployment",
        "variables",
        "secrets",
        "exit-codes",
        "reliability",
        "performance",
        "internals",
    ),
    "part": ("settings", "store", "database", "content", "site", "mail", "trigger-dev"),
}
_YES = Option("do not ask", short="-y")
OPERANDS = {
    "ID": "a job; jobctl status lists them",
    "ID|RUN": "a job, or a run by its id or the beginning of that; jobctl runs lists them",
    "ID|CRON": 'a job, a cron expression in quotes, or an interval such as "every 90m"',
    "systemd": "the service manager",
    "DIR": "the folder to write into",
    "COMMAND|TOPIC": f"a command, or a topic: {', '.join(NAMES['help'])}",
}
"""What a positional argument is, by its name in the usage line; of one in ``NAMES`` its values say it."""
GROUPS = ("Run", "Look", "Change", "Setup")

COMMON = {
    "--json": Option("print one JSON document on standard output"),
    "--quiet": Option("say nothing but results and errors", short="-q"),
    "--verbose": Option("say more, and show the traceback of a fault", short="-v"),
    "--color": Option("colour the output", "WHEN", ("auto", "always", "never"), default="auto"),
    "--project": Option(
        "the project's folder", "DIR", default="the nearest upward with a project file, or this one"
    ),
}
LONG = {"export": "making the files"}
"""Commands that may take long in all they do, and what a terminal shows meanwhile."""
HELP = Option("show this help", short="-h")
VERSION = Option("show the version", short="-V")

_NO_HEADER = Option("leave out the header line where rows are piped")
_LOCAL = Option("run it here, whatever the mode")
_WORKERS = Option("how many jobs may run at once, 1 to 256", "N", default="4")
_GRACE = Option("how long running jobs have to end at a stop", "DURATION", default="30s")

COMMANDS = {
    "run": Command(
        "Run",
        "the local scheduler, in the foreground",
        "",
        {
            "--workers": _WORKERS,
            "--grace": _GRACE,
            "--only": Option("schedule only this job; may be given again", "ID"),
            "--log-format": Option("how events are written", "FORMAT", ("text", "json"), default="text"),
            "--no-live": Option("no live table, plain lines only"),
            "--local": Option("schedule here, whatever the mode"),
            "--demo": Option("on a sample site of its own, made in jobctl-demo"),
            "--dry-run": Option("say what would be registered, where Trigger.dev is in charge"),
        },
        ("jobctl run", "jobctl run --demo", "jobctl run --workers 8 --grace 2m"),
    ),
    "trigger": Command(
        "Run",
        "run one job now, and exit by its result",
        "job",
        {
            "--no-wait": Option("return once the run has started"),
            "--dry-run": Option("say what would be done, where the job knows how"),
            "--force": Option("run it though scheduling is disabled"),
            "--local": _LOCAL,
            "--timeout": Option("end it after this long, instead of the job's own timeout", "DURATION"),
            "--no-retry": Option("one attempt only, whatever the job's retries"),
        },
        (
            "jobctl trigger repository-sync",
            "jobctl trigger repository-sync --no-wait",
            "jobctl trigger repository-sync --json > result.json",
        ),
    ),
    "status": Command(
        "Look",
        "every job: state, last run, next run",
        "run",
        {
            "--watch": Option("show it again whenever it changes, until Ctrl-C"),
            "--failed": Option("only jobs whose last run failed"),
            "--exit-status": Option("exit 1 if a job's last run failed, 3 if no scheduler is running"),
            "--limit": Option("how many at most, 0 for all", "N"),
            "--no-header": _NO_HEADER,
        },
        ("jobctl status", "jobctl status repository-sync", "jobctl status --exit-status --quiet"),
    ),
    "runs": Command(
        "Look",
        "what ran, newest first",
        "run",
        {
            "--failed": Option("only failed runs"),
            "--status": Option(
                "only runs in this state",
                "STATUS",
                ("running", "completed", "failed", "skipped", "cancelled"),
            ),
            "--since": Option("only runs since a time, or this long ago", "TIME"),
            "--limit": Option("how many at most, 0 for all", "N", default="20"),
            "--no-header": _NO_HEADER,
        },
        (
            "jobctl runs",
            "jobctl runs repository-sync --limit 5",
            "jobctl runs --failed --since 2d",
            "jobctl runs 3f2a91",
        ),
    ),
    "logs": Command(
        "Look",
        "what a run printed, or all jobs together",
        "run",
        {
            "--follow": Option("go on until the run has ended, of all jobs until Ctrl-C", short="-f"),
            "--failed": Option("the last run that failed"),
            "--tail": Option("only the last lines", "N", default="all of a run, 100 of all jobs"),
            "--timestamps": Option("when each line was printed"),
        },
        (
            "jobctl logs --follow",
            "jobctl logs repository-sync",
            "jobctl logs repository-sync --failed",
            "jobctl logs 3f2a91 --tail 20",
        ),
    ),
    "metrics": Command(
        "Look",
        "totals, success rate, durations",
        "job",
        {
            "--format": Option(
                "a table, or OpenMetrics text", "FORMAT", ("table", "prometheus"), default="table"
            ),
            "--output": Option("write it to this .prom file, for node_exporter's textfile collector", "FILE"),
            "--no-header": _NO_HEADER,
        },
        (
            "jobctl metrics",
            "jobctl metrics repository-sync",
            "jobctl metrics --format prometheus --output /var/lib/node_exporter/jobctl.prom",
        ),
    ),
    "mode": Command(
        "Look",
        "which scheduler is in charge, and why",
        "",
        {"--short": Option("one word")},
        ("jobctl mode", "NODE_ENV=production jobctl mode", "jobctl mode --short"),
    ),
    "next": Command(
        "Look",
        "when a job, or a cron expression, is due",
        "job",
        {
            "--count": Option("how many times", "N", short="-n", default="5"),
            "--timezone": Option(
                "the zone that the times are meant in", "ZONE", default="the job's own, or UTC"
            ),
            "--from": Option("count from here", "TIME", default="now"),
        },
        (
            "jobctl next repository-sync",
            'jobctl next "30 2 * * *" --timezone Europe/Berlin -n 3',
            'jobctl next "every 90m" --from 2027-03-27',
        ),
    ),
    "analytics": Command(
        "Look",
        "what the analytics jobs found",
        "analytic",
        {"--window": Option("how many months, days, items or events", "N")},
        ("jobctl analytics", "jobctl analytics user-growth --window 24", "jobctl analytics top-items --json"),
    ),
    "report": Command(
        "Look",
        "a report, now",
        "report",
        {
            "--period": Option("which one, such as 2026-10", "PERIOD", default="the one that just ended"),
            "--mail": Option("send it to JOBCTL_REPORT_TO too"),
        },
        ("jobctl report weekly", "jobctl report monthly --period 2026-10", "jobctl report daily --json"),
    ),
    "serve": Command(
        "Run",
        "the cron HTTP endpoints, in the foreground",
        "",
        {
            "--host": Option("the address to listen on", "ADDRESS", default="127.0.0.1"),
            "--port": Option("the port, 0 for any free one", "N", default="8000"),
            "--timeout": Option(
                "a call is answered within this time, the run goes on; on Vercel 290s",
                "DURATION",
                default="60s",
            ),
        },
        ("jobctl serve", "jobctl serve --host 0.0.0.0 --port 8080"),
    ),
    "stop": Command(
        "Change",
        "take a job off its schedule",
        "job",
        {
            "--all": Option("every job"),
            "--reason": Option("why; status shows it", "TEXT"),
            "--yes": _YES,
        },
        (
            "jobctl stop repository-sync",
            'jobctl stop repository-sync --reason "host moves"',
            "jobctl stop --all --yes",
        ),
    ),
    "start": Command(
        "Change",
        "put a stopped job back on its schedule",
        "job",
        {"--all": Option("every job"), "--yes": _YES},
        ("jobctl start repository-sync", "jobctl start --all --yes"),
    ),
    "check": Command(
        "Setup",
        "try everything that is configured",
        "part",
        {"--timeout": Option("how long each part may take", "DURATION", default="10s")},
        ("jobctl check", "jobctl check database", "jobctl check --json"),
    ),
    "export": Command(
        "Setup",
        "what another platform, or an editor, needs",
        "platform",
        {
            "--check": Option("write nothing, exit 1 where a file is out of date or something is missing"),
            "--plan": Option("Vercel's: once a day at most, or once a minute", "PLAN", ("hobby", "pro")),
            "--target": Option("Vercel's: the list of calls to write", "LIST", ("crons", "schedules")),
            "--from-index": Option("name the released jobctl instead of carrying this one"),
        },
        (
            "jobctl export trigger-dev worker",
            "jobctl export vercel . --plan hobby",
            "jobctl export vercel vercel-jobs --target schedules",
            "jobctl export vercel . --check",
            "jobctl export schema .",
        ),
    ),
    "new": Command(
        "Setup",
        "add a job with its file and test",
        "",
        {
            "--cron": Option("when it is due, as cron has it", "CRON"),
            "--every": Option("or how often", "DURATION"),
            "--timezone": Option("of --cron", "ZONE", default="UTC"),
            "--name": Option("what people call it", "TEXT"),
            "--command": Option("run this program instead of a function", "TEXT"),
            "--module": Option("where its function goes", "MODULE", default="jobs.NAME"),
        },
        ('jobctl new tidy-up --cron "30 2 * * *"', 'jobctl new dump --every 6h --command "pg_dump app"'),
    ),
    "install": Command(
        "Setup",
        "a service that runs it for good",
        "service",
        {
            "--user": Option("for your own service manager; so unless you are root"),
            "--system": Option("for the machine's, run as the owner of the project's folder"),
            "--name": Option("what the service is called", "NAME", default="jobctl"),
            "--node-env": Option(
                "its NODE_ENV", "ENV", ("development", "production", "test"), default="production"
            ),
            "--local": Option("have it schedule here, whatever the mode"),
            "--workers": _WORKERS,
            "--grace": _GRACE,
            "--output": Option("write into this folder instead of systemd's", "DIR"),
            "--force": Option("replace a unit that jobctl did not make, or that was edited"),
            "--dry-run": Option("write nothing, print the unit"),
            "--yes": _YES,
        },
        (
            "jobctl install systemd",
            "jobctl install systemd --dry-run",
            "sudo .venv/bin/jobctl install systemd --system",
        ),
    ),
    "uninstall": Command(
        "Setup",
        "take that service back",
        "service",
        {
            "--user": Option("of your own service manager; so unless you are root"),
            "--system": Option("of the machine's"),
            "--name": Option("what the service is called", "NAME", default="jobctl"),
            "--force": Option("remove a unit that was edited, or is another project's"),
            "--yes": _YES,
        },
        ("jobctl uninstall systemd", "sudo .venv/bin/jobctl uninstall systemd --system --yes"),
    ),
    "help": Command(
        "Setup",
        "help on a command, or on a topic",
        "help",
        {},
        ("jobctl help status", "jobctl help getting-started", "jobctl help exit-codes"),
    ),
    "completion": Command(
        "Setup",
        "the completion script for a shell",
        "shell",
        {},
        (
            "jobctl completion bash > ~/.local/share/bash-completion/completions/jobctl",
            'jobctl completion zsh > "${fpath[1]}/_jobctl"',
            "jobctl completion fish > ~/.config/fish/completions/jobctl.fish",
        ),
    ),
}
