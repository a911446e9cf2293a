"""Settings: the process environment and the site's ``.env`` files, each value with its source."""
