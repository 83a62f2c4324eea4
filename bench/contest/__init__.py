"""The fleet benchmark: one job, done by ourselves and by the tools that people use for it today."""
