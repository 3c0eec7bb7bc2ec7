"""Damaged clips without end, each of which must come out of stages 0 and 1 with one verdict."""
