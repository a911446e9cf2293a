"""The run store on Postgres: for schedulers, endpoints and hand triggers on several machines."""
