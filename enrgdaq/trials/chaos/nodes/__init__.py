"""``enrgdaq chaos --nodes N``: a hub and its spokes, killed and cut off from each other.

Read in this order: :mod:`.plan` (what is done when), :mod:`.members` (the nodes and the lines
between them), :mod:`.disturber` (carries out the plan), :mod:`.trial` (all of it together).
"""
