"""What a person works with while it is served: the review page, the reports, a run's progress."""
