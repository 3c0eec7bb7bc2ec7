"""What everything else stands on: files, settings, seeds, progress, visible text."""
