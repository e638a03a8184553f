"""What a day of offline tickets has: its files, and what its manifest says of its current tickets. Names only.

A day is the one on which tickets were created. Bronze is where other tables have staged rows, and offline tickets are
where others have curated ones, so that all commands work on both.
"""

# All versions of the day's tickets, and the current ones.
VERSIONS_FILE, CURRENT_FILE = "tickets.parquet", "current.parquet"
# Details of a manifest: the first and last instant, in epoch seconds, at which current tickets ended, and of versions.
CLOSED, RECENT = "closed_between", "versions_between"
