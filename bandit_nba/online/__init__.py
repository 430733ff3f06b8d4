"""The running loop without HTTP: durable decisions and outcomes, models that swap in, a learner that goes on."""
