"""What engines of each version understand: committed lists of their flags, and the check of `options` against them.

One folder for each engine: `VERSION.json` lists the flags of that version, `history.json` those that came or went.
Every file names its source and when it was read.
"""
