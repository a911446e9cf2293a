"""A sample site that lives in a folder of its own: database, content repository, visitors, an editor."""
