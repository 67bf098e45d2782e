"""Look at takes, join and master them."""
