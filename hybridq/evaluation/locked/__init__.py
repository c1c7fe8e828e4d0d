"""Use a model as it was locked: on other data, by subgroup, and with a checklist beside it."""
