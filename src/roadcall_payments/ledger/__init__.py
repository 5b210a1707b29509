"""Pure double entry: the chart of accounts and the rules from facts to postings."""
