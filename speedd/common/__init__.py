"""What several stages need: files that stay on disk, child processes, numbers in words, formats."""
