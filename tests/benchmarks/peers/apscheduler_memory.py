"""APScheduler 3, keeps nothing."""

from functools import partial

from tests.benchmarks.peers.apscheduler_peer import burst, drain, idle
from tests.benchmarks.peers.common import answer

answer(burst=partial(burst, kept=False), drain=partial(drain, kept=False), idle=partial(idle, kept=False))
