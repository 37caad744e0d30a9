"""Side-by-side timings against peers: ratios within one run."""
