"""Payments for a roadside-assistance marketplace: approved money moves exactly once."""
