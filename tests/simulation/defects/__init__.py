"""Deliberate defects, switched on one at a time: the simulator must find each of them, or it proves nothing.

The sources know nothing of them. ``build`` makes a copy in which each place reads "if this defect is on, then wrongly,
else as it was", compiles it apart, and a run chooses its defect by the environment.
"""
