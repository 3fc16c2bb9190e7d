"""One app in two versions, for a deploy during which processes with either are at work."""
