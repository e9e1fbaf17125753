"""HDF5 files that are read while they are written, and survive being killed at any moment."""
