"""One file for each implementation of a seam; the only place that imports a network's runtime."""
