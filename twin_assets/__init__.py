"""The asset graph: collect, clean, chunk, embed, dataset, train, evaluate, release, monitor."""
