"""The panels. Each draws itself line by line from the model and repaints only changed cells."""
