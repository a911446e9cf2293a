"""Mail: a message, four ways to send it, and the words of each kind."""
