"""Settings of the shipped journey worlds, one TOML file each."""
