"""What has to be done again and again: roll-up of events, and removing what counts no longer."""
