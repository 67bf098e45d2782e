"""systemd, the journal and signals."""
