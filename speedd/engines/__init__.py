"""Engines: found through the entry-point group ``speedd.engines``, loaded only in workers."""
