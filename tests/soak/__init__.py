"""The long form of every promise in docs/reliability.md: real programs, faults, and a count of what was lost."""
