"""A matter as a folder: reading and checking it; what its code may import."""
