"""Whether a dataset is fit to learn from: one definition of each measure, for our own datasets and anybody's."""
