"""Measurements and checks behind the reports."""
