-- What ranking needs to know of each candidate: its vector, its place in the postings, and its age in days.
SELECT chunk.id,
       embedding.vector,
       lexical_member.segment,
       lexical_member.ordinal,
       CAST(extract(epoch FROM now() - chunk.published_at) / 86400 AS double precision)
FROM chunk
LEFT JOIN embedding ON embedding.text_hash = chunk.text_hash AND embedding.model = %(model)s
LEFT JOIN lexical_member ON lexical_member.chunk_id = chunk.id
WHERE chunk.id = ANY(%(ids)s)
