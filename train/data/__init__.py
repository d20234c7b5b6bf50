"""Poems before they reach the network: sources, cleaning, splits, the operator's own poems, batches, the prosody
table. Nothing here needs Paddle.
"""
