"""The library, one package a subject; imports go downwards only (see docs/architecture.md)."""
