"""T3: text tokens and a voice in, speech tokens out, many rows at a time."""
