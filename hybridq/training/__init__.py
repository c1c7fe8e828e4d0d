"""Training loops: SimCLR pretraining and supervised fine-tuning."""
