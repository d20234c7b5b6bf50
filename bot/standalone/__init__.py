"""``make run``: starts the store, worker, trainer and bot on one machine and restarts those that die. No other package
imports it; on servers, containers or systemd take its place.
"""
