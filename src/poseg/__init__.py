"""poseg: people in pictures as poses and instance masks, in one pass."""
