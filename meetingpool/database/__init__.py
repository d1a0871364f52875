"""PostgreSQL: the tables, the queries on them, and what makes several processes one system (leases, notifications).

Query functions take a connection whose transaction the caller opened; nobody waits for a server while one is open.
"""
