"""The neural network and its files: model folders, vocabulary, the LSTM, and the backends that run it. Rules of verse
belong in ``engine.prosody``, the choice of characters in ``engine.generation``.
"""
