"""How messages move: rings, bells, the broker and the codec. Knows nothing of jobs."""
