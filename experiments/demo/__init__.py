"""The closed loop on the real Telco customers: decide, log, learn and judge over HTTP, with the truth beside it."""
