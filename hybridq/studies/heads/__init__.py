"""What the studies of heads on finished encoders share: what they are given, and their labels."""
