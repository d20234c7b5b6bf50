"""Ways to run the model: one small protocol, and the engines behind it."""
