"""Cut-outs: alpha refinement and the subject's own colours at its edge."""
