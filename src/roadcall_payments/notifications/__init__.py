"""Notices as words and on their way: templates, e-mail over SMTP, and a channel that only logs."""
