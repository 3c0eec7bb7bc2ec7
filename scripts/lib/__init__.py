"""Small modules, each one subject, shared by the stage scripts, the rules and the tests."""
