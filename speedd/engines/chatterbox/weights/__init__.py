"""Files of the models: found, fetched, checked and loaded."""
