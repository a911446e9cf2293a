"""Executes runs in worker processes: their tasks, their output, their end."""
