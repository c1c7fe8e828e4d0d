"""Evaluation: figures of merit, intervals, baselines, pictures and predictions."""
