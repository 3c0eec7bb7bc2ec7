"""Side-by-side benchmarks: the pipeline against what a user would chain by hand, and its floors."""
