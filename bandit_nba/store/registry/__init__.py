"""Published models, which of them serves, and the settings that decisions name by version."""
