"""Optional subscribers to the events of a manager: notifications, traces, and a file of metrics."""
