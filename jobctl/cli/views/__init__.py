"""Turns values into text. Nothing in here reads a file, a clock or a stream."""
