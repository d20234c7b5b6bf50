"""The service behind ``/retrain``: takes an order from Redis, runs it in a process of its own, compares the result
with the model in use, and promotes the better one. It trains with ``train.fit`` and has no loop of its own.
"""
