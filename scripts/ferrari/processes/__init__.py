"""Child processes: limits, models in their own processes, batches, devices."""
