"""How a rule's job runs: its command, its log, its lock, advice on errors, the fork server."""
