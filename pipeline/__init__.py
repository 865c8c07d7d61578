"""The data flow, on Ray Data: from a manifest of (content, style, params) to pictures and a table of results."""

import os

# Ray Data reads this when it is imported, so that only here is early enough. A run reserves its share of a cluster and
# renews that every ten seconds; the share of one whose driver was killed is kept for three minutes by default, and on
# a small cluster the next run would get no CPU for as long.
os.environ.setdefault("RAY_DATA_AUTOSCALING_REQUEST_EXPIRE_TIME_S", "20")
