"""Raw clips in a bucket of an object store."""
