"""The site's content: a local copy of its Git repository. Loaded by workers alone."""
