"""How a rule's job runs: its command, log, lock, advice on errors, and the fork server."""
