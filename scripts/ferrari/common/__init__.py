"""What all other packages use: files, settings, seeds, progress, text for display."""
