"""``enrgdaq chaos``: break the real system in every way that is known, then count its rows.

Read in this order: :mod:`.plan` (what is done when), :mod:`.backends` (the stores and how
their files are read back), :mod:`.system` (the jobs under trial), :mod:`.disturber` (carries
out the plan), :mod:`.audit` (counts), :mod:`.trial` (all of it together).
"""
