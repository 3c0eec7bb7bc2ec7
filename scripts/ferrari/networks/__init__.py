"""Detectors and segmenters behind their seams, and the files of their weights."""
