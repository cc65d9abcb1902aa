"""The loop thread, threads for user code, time and back-off."""
