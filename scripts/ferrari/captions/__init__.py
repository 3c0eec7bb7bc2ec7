"""Caption text, the rules it is held to, a person's own captions."""
