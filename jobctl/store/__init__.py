"""The run store: where runs, job state and cached results are kept."""
