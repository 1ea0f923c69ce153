"""Reading and measuring text: addresses, dates, languages, markup, personal data, sentences, words, ids."""
