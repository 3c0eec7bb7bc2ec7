"""Child processes: limits, models in a process of their own, batches, devices."""
