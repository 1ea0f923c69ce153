import pytest

from twin_resources.text.languages import language_of


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("A rope should be older than the sailor who hangs on it.", "en"),
        ("Leinöl braucht Zeit, und wer sie nicht hat, nimmt besser Lack für den Tisch.", "de"),
        ("Une marée ne ment jamais, et le marin le sait depuis toujours.", "fr"),
        ("日本語の文章はここにあります。", "ja"),
        ("```python\nfor the_tide in harbour:\n    print(the_tide)\n```\n\nDas Boot liegt noch immer am Steg.", "de"),
        ("¿Por qué fracasó Grin?", "es"),
        ("什么是LoRA适配器？", "zh"),
        ("東京", "zh"),
        ("はい", "ja"),
        ("ok", None),
        ("```\nprint('only code here, and nothing else')\n```", None),
        ("", None),
    ],
)
def test_the_language_of_the_words(text, language):
    assert language_of(text) == language
