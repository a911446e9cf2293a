"""The content: a local copy of the site's Git repository. Only workers import it."""
