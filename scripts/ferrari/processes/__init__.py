"""Child processes: limits, models that live in a process of their own, batches, devices."""
