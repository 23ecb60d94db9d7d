"""Which memories say the same thing, why, and what a merged one should say. Pure functions of snapshots."""
