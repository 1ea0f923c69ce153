"""Finding passages: embedding, vectors, BM25, fusion, re-ranking."""
