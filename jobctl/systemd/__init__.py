"""jobctl as a service of systemd."""
