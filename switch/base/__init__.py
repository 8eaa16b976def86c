"""What every room uses: statistics, calendar, hashes, and how text and log lines are shown."""
