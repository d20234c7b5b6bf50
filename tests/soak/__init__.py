"""The long form of the tests in docs/reliability.md: real programs, injected faults, and a count of what was lost."""
