"""Running one run somewhere: worker processes, their output, their end."""
