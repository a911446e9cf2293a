"""The Ever Works site that the built-in jobs work on. Loaded by workers alone."""
