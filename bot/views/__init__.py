"""What people see: every text in every language, Telegram HTML, keyboards and pictures. Pure functions: nothing here
sends anything or talks to Redis.
"""
