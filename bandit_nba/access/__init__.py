"""Who may do what: scopes, keys, and how often. Knows no store and no HTTP."""
