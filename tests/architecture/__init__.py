"""The house rules, checked on source text; `tests/test_architecture.py` applies them."""
