"""What the scheduler will do in a span of time: its own code decides, with a clock and workers that are simulated."""
