"""The local web server: the review page, the reports, the progress of a run."""
