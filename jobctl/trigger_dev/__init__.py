"""Trigger.dev, as its REST API shows it: https://trigger.dev/docs/management. No scheduling is decided here."""
