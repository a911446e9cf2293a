"""All jobs that a project knows: where they are defined, found, read and checked."""
