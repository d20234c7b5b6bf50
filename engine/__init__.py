"""Writes poems: the worker and the command line. ``engine.contract`` is all that the bot may import; nothing here
imports ``bot`` or ``train``.
"""
