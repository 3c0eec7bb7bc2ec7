"""Detectors, segmenters and face networks behind small interfaces, and their weights files."""
