"""Where raw clips may lie other than on a disk: the buckets of an object store."""
