"""Memory: what a row costs, what fits, and where the models stand."""
