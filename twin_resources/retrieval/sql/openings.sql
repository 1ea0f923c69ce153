-- Of each document: the passage that opens it, with its vector and its place in the postings, and how many passages it
-- has, as far as that matters.
SELECT asked.id, embedding.vector, lexical_member.segment, lexical_member.ordinal, length.passages
FROM unnest(%(documents)s::text[]) AS asked (id)
CROSS JOIN LATERAL (
    SELECT chunk.id, chunk.text_hash
    FROM chunk
    WHERE chunk.document_id = asked.id AND chunk.served
    ORDER BY chunk.position
    LIMIT 1
) AS opening
CROSS JOIN LATERAL (
    SELECT count(*) AS passages
    FROM (SELECT 1 FROM chunk WHERE chunk.document_id = asked.id AND chunk.served LIMIT %(most)s) AS counted
) AS length
JOIN embedding ON embedding.text_hash = opening.text_hash AND embedding.model = %(model)s
LEFT JOIN lexical_member ON lexical_member.chunk_id = opening.id
