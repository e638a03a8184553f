"""What every table holds: pandera models, and the rules that their rows keep."""
