"""From a network's alpha to a cut-out: refinement, other people, colours at the edge."""
