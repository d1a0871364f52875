"""Who chooses the server of a new meeting: ours as in production, those of other load balancers, and some to compare with."""
