"""The protocol in Redis: every key, stream, script and message that bot, workers and trainers exchange. No other
package issues Redis commands.
"""
