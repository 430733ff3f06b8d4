"""What was compared before the default policy's settings were chosen, on development data sets, worlds and seeds."""
