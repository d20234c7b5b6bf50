"""One training run: its settings, loop, checkpoints and progress. What becomes of a finished run is decided in
``train.export``.
"""
