-- Postings of one segment: for every lexeme, the members that have it and its BM25 weight in each, without the idf.
WITH member AS (
    SELECT lexical_member.ordinal,
           to_tsvector(
               coalesce(stemmer.config, CAST(:fallback AS regconfig)),
               regexp_replace(translate(chunk.embedded_text, :separators, :spaces), :dot, ' ', 'g')
           ) AS lexemes
    FROM lexical_member
    JOIN chunk ON chunk.id = lexical_member.chunk_id
    LEFT JOIN unnest(CAST(:languages AS text[]), CAST(:configs AS regconfig[])) AS stemmer (language, config)
           ON stemmer.language = chunk.language
    WHERE lexical_member.segment = :segment
),
term AS (
    SELECT member.ordinal, word.lexeme, cardinality(word.positions) AS frequency
    FROM member, unnest(member.lexemes) AS word
),
length AS (
    SELECT ordinal, sum(frequency) AS lexemes FROM term GROUP BY ordinal
),
total AS (
    SELECT coalesce(sum(lexemes), 0) AS lexemes, count(*) AS members FROM length
),
mean AS (
    SELECT greatest(1, (total.lexemes + :other_lexemes) / greatest(1, total.members + :other_members)) AS lexemes
    FROM total
),
written AS (
    INSERT INTO posting (segment, lexeme, ordinals, impacts)
    SELECT :segment,
           term.lexeme,
           array_agg(term.ordinal ORDER BY term.ordinal),
           array_agg(
               CAST(
                   term.frequency * (:k1 + 1)
                   / (term.frequency + :k1 * (1 - :b + :b * length.lexemes / mean.lexemes)) AS real
               )
               ORDER BY term.ordinal
           )
    FROM term JOIN length USING (ordinal), mean
    GROUP BY term.lexeme
)
UPDATE lexical_segment SET lexemes = total.lexemes FROM total WHERE lexical_segment.id = :segment
