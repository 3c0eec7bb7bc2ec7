"""What made each table, what happened in each run, and where each image comes from."""
