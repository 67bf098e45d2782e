"""Lay out and publish a finished audiobook."""
