"""Caption text, the rules that captions must follow, and captions written by hand."""
