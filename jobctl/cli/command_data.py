"""Every command with its arguments and options, for TAB and for simple calls, which do not load Typer.

The data below is generated from the Typer application by ``python -m tests.support.command_data``.
"""

from typing import NamedTuple


class Argument(NamedTuple):
    """A positional argument. It takes ``values`` alone, where there are any; TAB offers ``offers``."""

    parameter: str
    is_required: bool
    values: tuple[str, ...]
    offers: tuple[str, ...]


class Option(NamedTuple):
    """An option; ``value`` names its value in help and is empty for a flag. ``parameter`` is empty where Typer acts itself."""

    parameter: str
    short: str
    value: str
    offers: tuple[str, ...]
    help: str

    @property
    def is_flag(self) -> bool:
        """Whether it takes no value."""
        return not self.value


class CommandEntry(NamedTuple):
    """A command: one clause of help, its arguments, and its options without the common ones."""

    summary: str
    arguments: tuple[Argument, ...]
    options: dict[str, Option]


JOBS = ("job ids",)
"""Stands in ``offers`` for the ids of the project's jobs."""

# fmt: off
# ruff: noqa: COM819, Q000
COMMON = {
    '--json': Option('json', '', '', (), 'Print one JSON document on standard output.'),
    '--quiet': Option('quiet', '-q', '', (), 'Print only results and errors.'),
    '--verbose': Option('verbose', '-v', '', (), 'Print more, and the traceback of an internal error.'),
    '--color': Option('color', '', 'WHEN', ('auto', 'always', 'never'), 'When to use colours: auto, always or never.'),
    '--project': Option('project', '', 'DIR', (), "The project's folder."),
    '--help': Option('', '-h', '', (), 'Show this help.'),
}
ROOT_OPTIONS = {
    '--version': Option('version', '-V', '', (), 'Show the version.'),
}
COMMANDS = {
    'run': CommandEntry('Run the local scheduler in the foreground', (), {
        '--workers': Option('workers', '', 'N', (), 'Jobs that may run at the same time.'),
        '--grace': Option('grace', '', 'DURATION', (), 'Time that running jobs have to end after a stop signal.'),
        '--only': Option('only', '', 'ID', JOBS, 'Schedule only this job; may be repeated.'),
        '--log-format': Option('log_format', '', 'text|json', ('text', 'json'), 'Format of the events.'),
        '--no-live': Option('no_live', '', '', (), 'Print plain lines, without a live table.'),
        '--local': Option('local', '', '', (), 'Schedule here, whatever the mode.'),
        '--demo': Option('demo', '', '', (), 'Run on a sample site of its own.'),
        '--dry-run': Option('dry_run', '', '', (), 'In Trigger.dev mode, show what would be registered.'),
    }),
    'trigger': CommandEntry('Run a job now, and exit with its result', (Argument('job_id', True, (), JOBS), ), {
        '--no-wait': Option('no_wait', '', '', (), 'Return once the run has started.'),
        '--dry-run': Option('dry_run', '', '', (), 'Show what would be done, for jobs that support it.'),
        '--force': Option('force', '', '', (), 'Run it even where scheduling is disabled.'),
        '--local': Option('local', '', '', (), 'Run it here, whatever the mode.'),
        '--timeout': Option('timeout', '', 'DURATION', (), "Timeout, instead of the job's own."),
        '--no-retry': Option('no_retry', '', '', (), "Make a single attempt, whatever the job's retries."),
    }),
    'serve': CommandEntry('Serve the cron HTTP endpoints in the foreground', (), {
        '--host': Option('host', '', 'ADDRESS', (), 'Address to listen on.'),
        '--port': Option('port', '', 'N', (), 'Port, 0 for any free one.'),
        '--timeout': Option('timeout', '', 'DURATION', (), 'Respond within this time; the run continues.'),
    }),
    'status': CommandEntry('Show every job: state, last run, next run', (Argument('job_or_run', False, (), JOBS), ), {
        '--watch': Option('watch', '', '', (), 'Show it again whenever it changes, until Ctrl-C.'),
        '--failed': Option('failed', '', '', (), 'Only jobs whose last run failed.'),
        '--exit-status': Option('exit_status', '', '', (), 'Exit 1 if the last run of a job failed, 3 if no scheduler is running.'),
        '--limit': Option('limit', '', 'N', (), 'Number of jobs at most, 0 for all.'),
        '--no-header': Option('no_header', '', '', (), 'Leave out the header line when piped.'),
    }),
    'runs': CommandEntry('List runs, newest first', (Argument('job_or_run', False, (), JOBS), ), {
        '--failed': Option('failed', '', '', (), 'Only failed runs.'),
        '--status': Option('status', '', 'running|completed|failed|skipped|cancelled', ('running', 'completed', 'failed', 'skipped', 'cancelled'), 'Only runs in this state.'),
        '--since': Option('since', '', 'TIME', (), 'Only runs since a time, or since a duration ago such as 2d.'),
        '--limit': Option('limit', '', 'N', (), 'Number of runs at most, 0 for all.'),
        '--no-header': Option('no_header', '', '', (), 'Leave out the header line when piped.'),
    }),
    'logs': CommandEntry('Show what a run printed, or what all jobs print', (Argument('job_or_run', False, (), JOBS), ), {
        '--follow': Option('follow', '-f', '', (), 'Follow the run until it ends, or all jobs until Ctrl-C.'),
        '--failed': Option('failed', '', '', (), 'Only failed runs; with a job, its last failed run.'),
        '--tail': Option('tail', '', 'N', (), 'Number of lines from the end.'),
        '--timestamps': Option('timestamps', '', '', (), 'Show when each line was printed.'),
    }),
    'metrics': CommandEntry('Show totals, success rates and durations', (Argument('job_id', False, (), JOBS), ), {
        '--format': Option('format', '', 'table|prometheus', ('table', 'prometheus'), 'A table, or OpenMetrics text.'),
        '--output': Option('output', '', 'FILE', (), "Write it to this .prom file, for node_exporter's textfile collector."),
        '--no-header': Option('no_header', '', '', (), 'Leave out the header line when piped.'),
    }),
    'mode': CommandEntry('Show which scheduler is in charge, and why', (), {
        '--short': Option('short', '', '', (), 'Print only the mode.'),
    }),
    'next': CommandEntry('Show when a job, or a cron expression, is due', (Argument('job_or_schedule', True, (), JOBS), ), {
        '--count': Option('count', '-n', 'N', (), 'Number of times to show.'),
        '--timezone': Option('timezone', '', 'ZONE', (), 'Time zone of the schedule.'),
        '--from': Option('start', '', 'TIME', (), 'Show times after this time.'),
    }),
    'analytics': CommandEntry('Show the results of the analytics jobs', (Argument('name', False, (), ('user-growth', 'activity-trends', 'top-items', 'recent-activity', 'performance-metrics')), ), {
        '--window': Option('window', '', 'N', (), 'Number of months, days, items or events.'),
    }),
    'report': CommandEntry('Make a report now', (Argument('name', True, (), ('daily', 'weekly', 'monthly', 'quarterly')), ), {
        '--period': Option('period', '', 'PERIOD', (), 'Which period, such as 2026-10.'),
        '--mail': Option('mail', '', '', (), 'Also mail it to JOBCTL_REPORT_TO.'),
    }),
    'stop': CommandEntry('Take a job off its schedule', (Argument('job_id', False, (), JOBS), ), {
        '--all': Option('all_jobs', '', '', (), 'Every job.'),
        '--reason': Option('reason', '', 'TEXT', (), 'Reason that status shows.'),
        '--yes': Option('yes', '-y', '', (), 'Do not ask for confirmation.'),
    }),
    'start': CommandEntry('Put a stopped job back on its schedule', (Argument('job_id', False, (), JOBS), ), {
        '--all': Option('all_jobs', '', '', (), 'Every job.'),
        '--yes': Option('yes', '-y', '', (), 'Do not ask for confirmation.'),
    }),
    'check': CommandEntry('Check every part that is configured', (Argument('part', False, (), ('settings', 'store', 'database', 'content', 'site', 'mail', 'trigger-dev')), ), {
        '--timeout': Option('timeout', '', 'DURATION', (), 'Time that each part may take.'),
    }),
    'export': CommandEntry('Write the files for another platform, or an editor', (Argument('platform', True, ('trigger-dev', 'vercel', 'schema'), ('trigger-dev', 'vercel', 'schema')), Argument('folder', True, (), ()), ), {
        '--check': Option('check', '', '', (), 'Write nothing; exit 1 where a file is out of date or something is missing.'),
        '--plan': Option('plan', '', 'hobby|pro', ('hobby', 'pro'), "Vercel's plan: crons once a day at most, or once a minute."),
        '--target': Option('target', '', 'crons|schedules', ('crons', 'schedules'), "Vercel's list of calls to write; schedules are in beta."),
        '--from-index': Option('from_index', '', '', (), 'Install jobctl from the package index instead of including this version.'),
    }),
    'new': CommandEntry('Add a job with its file and test', (Argument('job_id', True, (), ()), ), {
        '--cron': Option('cron', '', 'CRON', (), 'Cron expression.'),
        '--every': Option('every', '', 'DURATION', (), 'Interval, instead of --cron.'),
        '--timezone': Option('timezone', '', 'ZONE', (), 'Time zone of --cron.'),
        '--name': Option('name', '', 'TEXT', (), 'Display name.'),
        '--command': Option('command', '', 'TEXT', (), 'Run this program instead of a function.'),
        '--module': Option('module', '', 'MODULE', (), 'Module of its function.'),
    }),
    'install': CommandEntry('Install the scheduler as a service', (Argument('service_manager', True, ('systemd',), ('systemd',)), ), {
        '--user': Option('user', '', '', (), 'Your own service manager; the default unless you are root.'),
        '--system': Option('system', '', '', (), 'The service manager of the machine.'),
        '--name': Option('name', '', 'NAME', (), 'Name of the service.'),
        '--node-env': Option('node_env', '', 'development|production|test', ('development', 'production', 'test'), 'NODE_ENV of the service.'),
        '--local': Option('local', '', '', (), 'Let it schedule here, whatever the mode.'),
        '--workers': Option('workers', '', 'N', (), 'Jobs that may run at the same time.'),
        '--grace': Option('grace', '', 'DURATION', (), 'Time that running jobs have to end after a stop signal.'),
        '--output': Option('output', '', 'DIR', (), "Write to this folder instead of systemd's."),
        '--force': Option('force', '', '', (), 'Replace a unit that jobctl did not make, or that was edited.'),
        '--dry-run': Option('dry_run', '', '', (), 'Write nothing, print the unit.'),
        '--yes': Option('yes', '-y', '', (), 'Do not ask for confirmation.'),
    }),
    'uninstall': CommandEntry('Remove the installed service', (Argument('service_manager', True, ('systemd',), ('systemd',)), ), {
        '--user': Option('user', '', '', (), 'Your own service manager; the default unless you are root.'),
        '--system': Option('system', '', '', (), 'The service manager of the machine.'),
        '--name': Option('name', '', 'NAME', (), 'Name of the service.'),
        '--force': Option('force', '', '', (), "Remove a unit that was edited, or is another project's."),
        '--yes': Option('yes', '-y', '', (), 'Do not ask for confirmation.'),
    }),
    'help': CommandEntry('Show help on a command, or on a topic', (Argument('topic', False, (), ('getting-started', 'jobs', 'schedules', 'running', 'library', 'site', 'mail', 'trigger-dev', 'vercel', 'http', 'several-machines', 'observability', 'deployment', 'variables', 'secrets', 'exit-codes', 'reliability', 'performance', 'internals', 'run', 'trigger', 'serve', 'status', 'runs', 'logs', 'metrics', 'mode', 'next', 'analytics', 'report', 'stop', 'start', 'check', 'export', 'new', 'install', 'uninstall', 'help', 'completion')), ), {
    }),
    'completion': CommandEntry('Print the completion script for a shell', (Argument('shell', True, ('bash', 'zsh', 'fish'), ('bash', 'zsh', 'fish')), ), {
    }),
}
