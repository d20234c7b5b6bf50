"""Turns a run, or weights trained elsewhere, into a model folder that the engine can load. Training is in
``train.fit``, measuring in ``train.evaluation``.
"""
