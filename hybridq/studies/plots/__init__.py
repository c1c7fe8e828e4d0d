"""Summarise and draw the tables of studies."""
