"""Asking the twin: one question, a conversation, OpenAI's protocol, and what readers think of an answer."""
