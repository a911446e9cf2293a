"""What the analytics jobs work out, each in one query, and the names under which it is kept."""
