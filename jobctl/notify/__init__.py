"""Telling somebody: when a job fails, when it recovers, when slots were missed; and pinging monitors."""
