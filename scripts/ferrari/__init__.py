"""The library: one package for each subject, in layers; a package imports only from layers below.

Why: docs/decisions/0022-rooms-by-subject.md. The layers: `tool.importlinter` in pyproject.toml.
"""
