"""Telegram in: updates are read, understood and turned into submissions. Nothing that must arrive is sent from here:
answers go through Redis, and ``bot.delivery`` sends them.
"""
