"""Every command with its arguments and options, for TAB, which does not load Typer.

The data below is generated from the Typer application by ``python -m tests.support.command_data``.
"""

from typing import NamedTuple


class Option(NamedTuple):
    """An option; ``value`` names its value in help and is empty for a flag."""

    short: str
    value: str
    offers: tuple[str, ...]
    help: str

    @property
    def is_flag(self) -> bool:
        """Whether it takes no value."""
        return not self.value


class CommandEntry(NamedTuple):
    """A command: one clause of help, what TAB offers for each argument, and its options without the common ones."""

    summary: str
    arguments: tuple[tuple[str, ...], ...]
    options: dict[str, Option]


JOBS = ("job ids",)
"""Stands in ``offers`` for the ids of the project's jobs."""
JOB_ARGUMENTS = ("arguments of the job",)
"""Stands in ``arguments`` for those of the job on the line; there may be any number of them."""
ALIASES = {"pause": "stop", "resume": "start"}
"""Further names of commands."""

# fmt: off
# ruff: noqa: COM819, Q000
COMMON = {
    '--json': Option('', '', (), 'Print one JSON document on standard output.'),
    '--quiet': Option('-q', '', (), 'Print only results and errors.'),
    '--verbose': Option('-v', '', (), 'Print more, and the traceback of an internal error.'),
    '--color': Option('', 'WHEN', ('auto', 'always', 'never'), 'When to use colours: auto, always or never.'),
    '--project': Option('', 'DIR', (), "The project's folder."),
    '--help': Option('-h', '', (), 'Show this help.'),
}
ROOT_OPTIONS = {
    '--version': Option('-V', '', (), 'Show the version.'),
}
COMMANDS = {
    'run': CommandEntry('Run the local scheduler in the foreground', (), {
        '--workers': Option('', 'N', (), 'Jobs that may run at the same time.'),
        '--grace': Option('', 'DURATION', (), 'Time that running jobs have to end after a stop signal.'),
        '--only': Option('', 'ID', JOBS, 'Schedule only this job; may be repeated.'),
        '--log-format': Option('', 'text|json', ('text', 'json'), 'Format of the events.'),
        '--no-live': Option('', '', (), 'Print plain lines, without a live table.'),
        '--local': Option('', '', (), 'Schedule here, whatever the mode.'),
        '--web': Option('', '', (), 'Serve the page, for browsers of this machine.'),
        '--port': Option('', 'N', (), 'Port of the page, 0 for any free one.'),
        '--open': Option('', '', (), 'Open the page in a browser.'),
        '--demo': Option('', '', (), 'Run on a sample site of its own.'),
        '--dry-run': Option('', '', (), 'In Trigger.dev mode, show what would be registered.'),
    }),
    'trigger': CommandEntry('Run a job now, and exit with its result; or later', (JOBS, JOB_ARGUMENTS, ), {
        '--arguments': Option('', 'FILE', (), 'A JSON object of arguments; - is standard input.'),
        '--no-wait': Option('', '', (), 'Return once the run has started.'),
        '--dry-run': Option('', '', (), 'Show what would be done, for jobs that support it.'),
        '--force': Option('', '', (), 'Run it even where scheduling is disabled.'),
        '--local': Option('', '', (), 'Run it here, whatever the mode.'),
        '--timeout': Option('', 'DURATION', (), "Timeout, instead of the job's own."),
        '--no-retry': Option('', '', (), "Make a single attempt, whatever the job's retries."),
        '--at': Option('', 'TIME', (), 'Run it later, not before this time.'),
        '--in': Option('', 'DURATION', (), 'Run it later, after this time such as 2h.'),
    }),
    'rerun': CommandEntry('Run a job again as in an earlier run', (JOBS, ), {
        '--failed': Option('', '', (), 'All failed runs that were not run again, oldest first.'),
        '--since': Option('', 'TIME', (), 'With --failed: since when, or how long ago.'),
        '--no-wait': Option('', '', (), 'Return once the run has started.'),
        '--yes': Option('-y', '', (), 'Do not ask for confirmation.'),
    }),
    'backfill': CommandEntry('Run a job for its past slots', (JOBS, JOB_ARGUMENTS, ), {
        '--from': Option('', 'TIME', (), 'Slots from this time, or from this day.'),
        '--to': Option('', 'TIME', (), 'Slots up to this time, or this day.'),
        '--again': Option('', '', (), 'Also slots that have completed.'),
        '--dry-run': Option('', '', (), 'List the slots, and run nothing.'),
        '--reason': Option('', 'TEXT', (), 'Reason that is kept with the action.'),
        '--arguments': Option('', 'FILE', (), 'A JSON object of arguments; - is standard input.'),
    }),
    'serve': CommandEntry('Serve the cron HTTP endpoints in the foreground', (), {
        '--host': Option('', 'ADDRESS', (), 'Address to listen on.'),
        '--port': Option('', 'N', (), 'Port, 0 for any free one.'),
        '--timeout': Option('', 'DURATION', (), 'Respond within this time; the run continues.'),
    }),
    'status': CommandEntry('Show every job; watch exits with 1 if a job is late', (JOBS, ), {
        '--watch': Option('', '', (), 'Show it again whenever it changes, until Ctrl-C.'),
        '--failed': Option('', '', (), 'Only jobs whose last run failed.'),
        '--exit-status': Option('', '', (), 'Exit 1 if the last run of a job failed, 3 if no scheduler is running.'),
        '--limit': Option('', 'N', (), 'Number of jobs at most, 0 for all.'),
        '--no-header': Option('', '', (), 'Leave out the header line when piped.'),
    }),
    'watch': CommandEntry('Exit with 1 if a job is late, and notify of changes', (), {
        '--no-header': Option('', '', (), 'Leave out the header line when piped.'),
    }),
    'runs': CommandEntry('List runs, newest first; or those kept for later', (JOBS, ), {
        '--failed': Option('', '', (), 'Only failed runs.'),
        '--status': Option('', 'running|completed|failed|skipped|cancelled', ('running', 'completed', 'failed', 'skipped', 'cancelled'), 'Only runs in this state.'),
        '--since': Option('', 'TIME', (), 'Only runs since a time, or since a duration ago such as 2d.'),
        '--limit': Option('', 'N', (), 'Number of runs at most, 0 for all.'),
        '--waiting': Option('', '', (), 'Runs that are kept for later.'),
        '--actions': Option('', '', (), 'What people did to jobs and runs, and why.'),
        '--no-header': Option('', '', (), 'Leave out the header line when piped.'),
    }),
    'logs': CommandEntry('Show what a run printed, or what all jobs print', (JOBS, ), {
        '--follow': Option('-f', '', (), 'Follow the run until it ends, or all jobs until Ctrl-C.'),
        '--failed': Option('', '', (), 'Only failed runs; with a job, its last failed run.'),
        '--tail': Option('', 'N', (), 'Number of lines from the end.'),
        '--timestamps': Option('', '', (), 'Show when each line was printed.'),
    }),
    'metrics': CommandEntry('Show totals, success rates and durations', (JOBS, ), {
        '--format': Option('', 'table|prometheus', ('table', 'prometheus'), 'A table, or OpenMetrics text.'),
        '--output': Option('', 'FILE', (), "Write it to this .prom file, for node_exporter's textfile collector."),
        '--no-header': Option('', '', (), 'Leave out the header line when piped.'),
    }),
    'mode': CommandEntry('Show which scheduler is in charge, and why', (), {
        '--short': Option('', '', (), 'Print only the mode.'),
    }),
    'next': CommandEntry('Show when a job or a cron is due; explain says it in words', (JOBS, ), {
        '--count': Option('-n', 'N', (), 'Number of times to show.'),
        '--timezone': Option('', 'ZONE', (), 'Time zone of the schedule.'),
        '--from': Option('', 'TIME', (), 'Show times after this time.'),
        '--no-header': Option('', '', (), 'Leave out the header line when piped.'),
    }),
    'explain': CommandEntry('Say a schedule in words', (JOBS, ), {
        '--timezone': Option('', 'ZONE', (), 'Time zone of the schedule.'),
        '--no-header': Option('', '', (), 'Leave out the header line when piped.'),
    }),
    'plan': CommandEntry('Show which runs there will be, and what goes wrong', (), {
        '--day': Option('', 'DATE', (), "The whole of a day, in this machine's time zone."),
        '--from': Option('', 'TIME', (), 'Begin at this time.'),
        '--to': Option('', 'TIME', (), 'End at this time, or after this duration.'),
        '--workers': Option('', 'N', (), 'Jobs that may run at the same time.'),
        '--assume': Option('', 'DURATION', (), "How long runs take: p50 or p95 of the job's runs so far, or a duration for all."),
        '--diff': Option('', 'REF|FILE', (), 'Show what differs from another version of the project file: of a Git revision, or a file.'),
        '--exit-code': Option('', '', (), 'Exit with 1 if slots differ; with --diff.'),
        '--no-header': Option('', '', (), 'Leave out the header line when piped.'),
    }),
    'analytics': CommandEntry('Show what the analytics jobs found; report makes a report', (('user-growth', 'activity-trends', 'top-items', 'recent-activity', 'performance-metrics'), ), {
        '--window': Option('', 'N', (), 'Number of months, days, items or events.'),
    }),
    'report': CommandEntry('Make a report now', (('daily', 'weekly', 'monthly', 'quarterly'), ), {
        '--period': Option('', 'PERIOD', (), 'Which period, such as 2026-10.'),
        '--mail': Option('', '', (), 'Also mail it to JOBCTL_REPORT_TO.'),
    }),
    'cancel': CommandEntry('End a run, wherever it runs; it is not retried', (JOBS, ), {
        '--now': Option('', '', (), 'End it without a grace time.'),
        '--reason': Option('', 'TEXT', (), 'Reason that is kept with the run.'),
        '--no-wait': Option('', '', (), 'Do not wait for its end.'),
    }),
    'stop': CommandEntry('Take a job off its schedule', (JOBS, ), {
        '--all': Option('', '', (), 'Every job.'),
        '--reason': Option('', 'TEXT', (), 'Reason that status shows.'),
        '--until': Option('', 'TIME', (), 'Put it back then: a time, or how long from now such as 2d.'),
        '--skip-next': Option('', '', (), 'Leave out its next run only.'),
        '--yes': Option('-y', '', (), 'Do not ask for confirmation.'),
    }),
    'start': CommandEntry('Put a stopped job back on its schedule', (JOBS, ), {
        '--all': Option('', '', (), 'Every job.'),
        '--yes': Option('-y', '', (), 'Do not ask for confirmation.'),
    }),
    'check': CommandEntry('Check every part that is configured', (('settings', 'store', 'database', 'content', 'site', 'mail', 'trigger-dev', 'vercel', 'notify'), ), {
        '--timeout': Option('', 'DURATION', (), 'Time that each part may take.'),
    }),
    'export': CommandEntry('Write the files for another platform, or an editor', (('trigger-dev', 'vercel', 'schema'), (), ), {
        '--check': Option('', '', (), 'Write nothing; exit 1 where a file is out of date or something is missing.'),
        '--plan': Option('', 'hobby|pro', ('hobby', 'pro'), "Vercel's plan: crons once a day at most, or once a minute."),
        '--target': Option('', 'crons|schedules', ('crons', 'schedules'), "Vercel's list of calls to write; schedules are in beta."),
        '--from-index': Option('', '', (), 'Install jobctl from the package index instead of including this version.'),
    }),
    'new': CommandEntry('Add a job with its file and test; import reads a crontab', ((), ), {
        '--cron': Option('', 'CRON', (), 'Cron expression; several times for several.'),
        '--every': Option('', 'DURATION', (), 'Interval, instead of --cron.'),
        '--timezone': Option('', 'ZONE', (), 'Time zone of --cron.'),
        '--name': Option('', 'TEXT', (), 'Display name.'),
        '--command': Option('', 'TEXT', (), 'Run this program instead of a function.'),
        '--module': Option('', 'MODULE', (), 'Module of its function.'),
    }),
    'import': CommandEntry('Make a job of each line of a crontab', (('crontab',), (), ), {
        '--system': Option('', '', (), 'Its lines name a user, as in /etc/crontab and /etc/cron.d.'),
        '--dry-run': Option('', '', (), 'Print the jobs, and write nothing.'),
    }),
    'install': CommandEntry('Install the scheduler as a service; uninstall removes it', (('systemd',), ), {
        '--user': Option('', '', (), 'Your own service manager; the default unless you are root.'),
        '--system': Option('', '', (), 'The service manager of the machine.'),
        '--name': Option('', 'NAME', (), 'Name of the service.'),
        '--node-env': Option('', 'development|production|test', ('development', 'production', 'test'), 'NODE_ENV of the service.'),
        '--local': Option('', '', (), 'Let it schedule here, whatever the mode.'),
        '--workers': Option('', 'N', (), 'Jobs that may run at the same time.'),
        '--grace': Option('', 'DURATION', (), 'Time that running jobs have to end after a stop signal.'),
        '--output': Option('', 'DIR', (), "Write to this folder instead of systemd's."),
        '--force': Option('', '', (), 'Replace a unit that jobctl did not make, or that was edited.'),
        '--dry-run': Option('', '', (), 'Write nothing, print the unit.'),
        '--yes': Option('-y', '', (), 'Do not ask for confirmation.'),
    }),
    'uninstall': CommandEntry('Remove the installed service', (('systemd',), ), {
        '--user': Option('', '', (), 'Your own service manager; the default unless you are root.'),
        '--system': Option('', '', (), 'The service manager of the machine.'),
        '--name': Option('', 'NAME', (), 'Name of the service.'),
        '--force': Option('', '', (), "Remove a unit that was edited, or is another project's."),
        '--yes': Option('-y', '', (), 'Do not ask for confirmation.'),
    }),
    'help': CommandEntry('Show help on a command, or on a topic', (('getting-started', 'jobs', 'schedules', 'planning', 'running', 'library', 'site', 'mail', 'trigger-dev', 'vercel', 'http', 'page', 'several-machines', 'observability', 'deployment', 'variables', 'secrets', 'exit-codes', 'reliability', 'performance', 'internals', 'run', 'trigger', 'rerun', 'backfill', 'serve', 'status', 'watch', 'runs', 'logs', 'metrics', 'mode', 'next', 'explain', 'plan', 'analytics', 'report', 'cancel', 'stop', 'start', 'check', 'export', 'new', 'import', 'install', 'uninstall', 'help', 'completion', 'pause', 'resume'), ), {
    }),
    'completion': CommandEntry('Print the completion script for a shell', (('bash', 'zsh', 'fish'), ), {
    }),
}
COMMANDS |= {alias: COMMANDS[name] for alias, name in ALIASES.items()}
