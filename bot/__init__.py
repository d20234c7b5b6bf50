"""The Telegram bot and its HTTP server. Modules here are shared by the packages below or wire them together (``app``).
Of the engine it imports ``engine.contract`` only; poems are written elsewhere, by workers.
"""
