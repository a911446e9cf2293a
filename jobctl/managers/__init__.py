"""What schedules and triggers jobs: the local manager, the no-op one, and how one is chosen."""
