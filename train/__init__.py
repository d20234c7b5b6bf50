"""The training command line: prepare a corpus, fit, evaluate, export, and the retraining service. It builds on the
engine; nothing imports it.
"""
