"""ROOT files, written whole from journals: the format does not survive a kill while it grows."""
