-- What ranking needs to know of each candidate: its vector, its place in the postings, its age in days, whether the
-- question stands in it word for word, and its document.
SELECT chunk.id,
       embedding.vector,
       lexical_member.segment,
       lexical_member.ordinal,
       CAST(extract(epoch FROM now() - chunk.published_at) / 86400 AS double precision),
       %(phrase)s <> '' AND strpos(lower(chunk.embedded_text), %(phrase)s) > 0,
       chunk.document_id
FROM chunk
LEFT JOIN embedding ON embedding.text_hash = chunk.text_hash AND embedding.model = %(model)s
LEFT JOIN lexical_member ON lexical_member.chunk_id = chunk.id
WHERE chunk.id = ANY(%(ids)s)
