"""The tests; a package, since another one of this name may be installed and would hide `tests.faults`."""
