"""The jobs that come with ENRGDAQ, one idea a file."""
