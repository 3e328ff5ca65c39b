"""The demo tenant: a cast, rules, and recorded tool calls of a public corpus sent through the real gate."""
