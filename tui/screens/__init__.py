"""What fills the terminal, or asks a question over it."""
