"""What releases do by themselves: what a candidate waits for, how it takes over, and how a canary ends."""

from __future__ import annotations

from twin_resources.alerts.conditions import UNSTEADY, of_withdrawal
from twin_resources.monitoring.canary import Standing
from twin_resources.runtime.resources import Twin
from twin_resources.storage.calls.arms import arms
from twin_resources.storage.releases import WITHDRAWER, Canary, Release, ReleaseError

BY = "automatic"
"""Who decides where nobody does."""


def take_over(twin: Twin, author_id: str, proposed: Release) -> str | None:
    """Let a candidate that passed take over where releases are automatic and no person decided: at once, or on canary
    first (``release.canary``). Returns what it waits for, None where it waits for nothing."""
    rules = twin.settings.release
    if rules.approval != "auto" or not proposed.passed or twin.releases.is_decided(author_id):
        return None
    if why := _unsteady(twin, author_id) or unread(twin, author_id, proposed.version):
        return why
    champion = twin.releases.alias(author_id, "champion")
    beside = champion and champion.version != proposed.version and champion.base == proposed.base
    if beside and (share := proposed.share or rules.canary):
        twin.releases.start_canary(proposed.version, share, by=BY, comment="passed the gate")
        return f"it is on canary, with {share:.1%} of the conversations"
    twin.releases.approve(proposed.version, by=BY, comment="passed the gate")
    return None


def settle(twin: Twin, author_id: str) -> str | None:
    """End the canary of an author where it is time: withdrawn where readers certainly fare worse on it, and, where
    releases are automatic and no person decided, approved once enough of them do not. Returns what was done."""
    canary = twin.releases.canary(author_id)
    if canary is None:
        return None
    standing = Standing.of(canary, arms(twin.engine, author_id, canary))
    try:
        if why := standing.told():
            twin.releases.reject(canary.version, by=WITHDRAWER, comment=f"readers fared worse on it: {why}")
            happened = of_withdrawal(author_id, twin.releases.last_decision(author_id))
            twin.alerts.observe(happened.rule, author_id, happened.state, happened.text)
            return f"{canary.version} of {author_id} was withdrawn: {why}"
        if _may_take_over(twin, author_id, canary, standing):
            count = standing.arms.canary.conversations
            comment = f"readers fared no worse on it in {count} conversations"
            twin.releases.approve(canary.version, by=BY, comment=comment)
            return f"{canary.version} of {author_id} was approved: {comment}"
    except ReleaseError as error:  # somebody decided otherwise in this moment
        return str(error)
    return None


def _may_take_over(twin: Twin, author_id: str, canary: Canary, standing: Standing) -> bool:
    rules = twin.settings.release
    candidate = twin.releases.alias(author_id, "candidate")
    return (
        rules.approval == "auto"
        and standing.counts
        and standing.arms.canary.conversations >= rules.canary_conversations
        and candidate is not None
        and candidate.version == canary.version
        and candidate.passed
        and not twin.releases.is_decided(author_id)
        and _unsteady(twin, author_id) is None
    )


def _unsteady(twin: Twin, author_id: str) -> str | None:
    """What is wrong with what answers, so that nothing takes over by itself; None where releases are not to pause."""
    if not twin.settings.monitoring.alerts.pause_releases:
        return None
    found = [each for each in twin.alerts.list(author=author_id) if each.rule in UNSTEADY]
    return "; ".join(each.text for each in found) or None


def unread(twin: Twin, author_id: str, version: str) -> str | None:
    """That fewer answers of blind tests are in than an automatic release waits for; None where they are."""
    wanted = twin.settings.release.min_blind_answers
    there = twin.blind_tests.tallies(author_id).get(version)
    answers = there.answers if there else 0
    return f"{answers} of {wanted} answers of blind tests are in" if answers < wanted else None
