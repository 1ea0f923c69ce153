import csv
import io
import re
import shutil
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from twin_resources.sources.linkedin import undo_line_quotes
from twin_resources.text.csv_tables import read_table

SHARE = "https://www.linkedin.com/feed/update/urn%3Ali%3Ashare%3A"


def quoted_as_linkedin_does(text: str) -> str:
    return re.sub(r"(\r\n|\r|\n)", r'"\1"', text)


def test_every_row_and_article_is_accounted_for(data, harvest):
    found = harvest(data / "linkedin")
    assert found.skipped == {"repost": 1, "duplicate_url": 1, "draft": 1, "comment": 2}
    assert {item.partition("/")[2] or item for item in found.quarantined} == {
        "Shares.csv row 7", "Shares.csv row 8", "Comments.csv row 3",
    }  # fmt: skip
    assert len(found.documents) == 7


def test_comments_are_posts_where_they_are_wanted(data, real_data, harvest):
    found = harvest(data / "linkedin", "linkedin_export", comments=True)
    comments = [document for document in found.documents if document.url.startswith("linkedin:comment/")]
    assert [comment.body for comment in comments] == ['He wrote "no", twice\nand left', "Fine"]
    assert comments[0].extra == {"in_reply_to": "https://www.linkedin.com/c/1"}
    assert comments[0].published_at == datetime(2025, 1, 1, tzinfo=UTC)
    assert "comment" not in found.skipped
    real = harvest(real_data / "linkedin" / "export", "linkedin_export", comments=True)
    assert len(real.documents) + real.skipped["comment"] + real.skipped["duplicate_url"] >= 184 + 300


def test_a_share_is_exactly_what_the_member_wrote(data, harvest):
    post = harvest(data / "linkedin").by_url[f"{SHARE}1"]
    assert post.body == 'First line.\n\nHe said "stop"\n"go" she said.\n'
    assert (post.category, post.title, post.media_type) == ("posts", None, "text/plain")
    assert post.published_at == datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert post.extra == {"shared_url": "https://x.example/a", "visibility": "MEMBER_NETWORK"}
    assert post.also == ("https://www.linkedin.com/feed/update/urn:li:share:1",)
    assert harvest(data / "linkedin").by_url[f"{SHARE}2"].body == '"One line"'


def test_shares_csv_alone_and_the_zip_read_as_the_folder_does(data, tmp_path, harvest):
    whole = harvest(data / "linkedin")
    posts = [document for document in whole.documents if document.category == "posts" and not document.title]
    assert harvest(data / "linkedin" / "Shares.csv").documents == posts
    assert harvest(shutil.make_archive(str(tmp_path / "export"), "zip", data / "linkedin")).items == whole.items


def test_articles_with_and_without_an_address_of_their_own(data, harvest):
    found = harvest(data / "linkedin").by_url
    lamps = found["https://www.linkedin.com/pulse/on-lamps-ada"]
    assert (lamps.title, lamps.category) == ("On lamps", "articles")
    assert lamps.published_at == datetime(2024, 1, 2, 11, 30, tzinfo=UTC)
    assert lamps.body.strip() == "<div><p>Light is <b>late</b>.</p></div>"
    assert found["linkedin:article/on-doors"].published_at == datetime(2020, 5, 6, tzinfo=UTC)


@given(st.lists(st.text(st.sampled_from('ab "\n\r,\\'), max_size=30), min_size=1, max_size=6))
def test_quoted_line_breaks_come_back_exactly(texts):
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["Date", "ShareCommentary"])
    writer.writerows(["d", quoted_as_linkedin_does(text)] for text in texts)
    rows = read_table(buffer.getvalue()).rows
    assert undo_line_quotes(row.fields["sharecommentary"] for row in rows) == texts


def test_a_file_without_the_odd_quoting_is_left_alone():
    texts = ['He said "yes"\n"no" she said', "plain\nbreak", "another\n\none", "single"]
    assert undo_line_quotes(texts) == texts


def test_real_shares_are_exact(real_data, harvest):
    path = real_data / "linkedin" / "export"
    found = harvest(path)
    assert len(found.documents) == 184
    assert found.skipped == {"repost": 14, "duplicate_url": 4, "comment": 323}
    assert not found.quarantined
    with (path / "Shares.csv").open(encoding="utf-8", newline="") as file:
        printed = {row["ShareLink"]: row["ShareCommentary"] for row in csv.DictReader(file)}
    broken = 0
    for document in found.documents:
        assert quoted_as_linkedin_does(document.body) == printed[document.url]
        assert '""' not in document.body
        assert document.published_at is not None
        broken += "\n" in document.body
    assert broken == 173 - 4
    vipassana = found.by_url[f"{SHARE}7345821826846990338"].body
    assert vipassana.startswith("I'm off for a 10-day Vipassana meditation program.\n\n𝗪𝗛𝗔𝗧? A 10-day")
    inference = next(document.body for document in found.documents if document.body.startswith('"Inferencing"'))
    assert inference.startswith('"Inferencing" is the new "Compiling!"\n\nI spent a fair bit')


def test_synthetic_zip_with_its_columns_out_of_order(real_data, harvest):
    found = harvest(real_data / "linkedin" / "export-synthetic.zip")
    posts = [document for document in found.documents if document.category == "posts" and not document.title]
    assert len(posts) == 25
    assert found.by_url["linkedin:profile"].body.startswith("Analytical Engineer ·")
    assert all(post.body.startswith("Sharing this piece") for post in posts)
    assert {post.extra["visibility"] for post in posts} == {"PUBLIC", "CONNECTIONS"}
    articles = [document for document in found.documents if document.category == "articles"]
    assert [article.title for article in articles][:2] == ["On Shipping Small", "The Cost of Good Abstractions"]
    assert all(article.published_at for article in articles)
    assert found.skipped == {"comment": 60}
    assert not found.quarantined


def test_headline_and_summary_of_the_profile_are_a_post_and_nothing_else_of_it(data, tmp_path, harvest):
    profile = harvest(data / "linkedin").by_url["linkedin:profile"]
    assert (profile.category, profile.title, profile.extra) == ("posts", "Profile on LinkedIn", {"profile": True})
    assert profile.body.splitlines() == [
        "Keeper of gauges. Baker at night.", "", "I keep the gauges of four harbours.", "",
        "Bread is what I do when they are quiet.",
    ]  # fmt: skip
    export = shutil.copytree(data / "linkedin", tmp_path / "export")
    (export / "Profile.csv").write_text("First Name,Headline,Summary\nAda,,\n")
    found = harvest(export)
    assert found.skipped["empty_profile"] == 1
    assert "linkedin:profile" not in found.by_url
    (export / "Profile.csv").write_text("First Name,Headline,Summary\nAda,\n")
    assert "Profile.csv" in "".join(harvest(export).quarantined)
