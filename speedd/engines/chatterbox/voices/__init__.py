"""Voice samples, and what the model is shown of them."""
