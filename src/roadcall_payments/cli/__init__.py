"""Operator commands: what a person at a terminal needs, day and night."""
