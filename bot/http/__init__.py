"""The HTTP server: JSON API, web page, webhook, probes and metrics, with their limits and errors. How an update is
handled belongs in ``bot.updates``.
"""
