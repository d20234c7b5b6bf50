"""The worker process: takes jobs from Redis, batches them, reloads models, and shuts down cleanly. It is handed a poet
and never imports one.
"""
