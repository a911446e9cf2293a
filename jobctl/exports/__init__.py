"""What other platforms need to run the catalogue's jobs, written as folders."""
