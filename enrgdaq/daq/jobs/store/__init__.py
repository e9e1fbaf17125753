"""The stores that come with ENRGDAQ."""
