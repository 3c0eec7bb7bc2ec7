"""Commands for a person: trace an item, lint a folder, sum up a run, lay out real footage."""
