"""The library: one package a subject, which imports only from packages on floors below its own.

Why: docs/decisions/0022-rooms-by-subject.md. The floors: `tool.importlinter` in pyproject.toml.
"""
