"""Mail: messages, the four ways to send them, and the templates."""
