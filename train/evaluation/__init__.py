"""Measurements: perplexity, metrics of poems, rhyme and tone, the tutorial's decoder, blind reading. Nothing here
changes a model.
"""
