"""S3Gen: speech tokens in, a waveform out, many rows at a time."""
