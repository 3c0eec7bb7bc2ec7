"""Each package in the hands of the loader that trains on it; `make test-trainers`."""
