"""The sample site of ``jobctl run --demo``, in a folder of its own: database, content repository, visitors, an editor."""
