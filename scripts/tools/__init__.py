"""Commands for people: trace an item, lint a folder, plan a run, review a set, and more."""
