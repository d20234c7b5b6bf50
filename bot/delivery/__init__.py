"""Telegram out: replies from Redis, notices to those who wait, and the progress of a training. What a reply says is
decided in ``bot.views``; what a user asked for, in ``bot.updates``.
"""
