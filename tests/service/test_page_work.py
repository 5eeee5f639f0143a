"""Pages of a new view: who reads first waits for a moment only, and sees the view before while the new one's parts are worked out."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from predictkpi.service.page_work import PageWork
from predictkpi.service.state import Serving, Shown
from predictkpi.service.view import View

NEVER = 0.01
"""As a grace: too short for a step that waits for the test."""


class Held:
    """A step that goes on once the test lets it."""

    def __init__(self) -> None:
        self.may, self.has_begun = threading.Event(), threading.Event()
        self.views: list[View] = []

    def __call__(self, view):
        self.views.append(view)
        self.has_begun.set()
        assert self.may.wait(60)


@pytest.fixture
def held():
    step = Held()
    yield step
    step.may.set()


def do(step, view):
    step(view)


def work_of(view, step, place="/customers", **given):
    return PageWork(view, {place: step}, do=do, **({"grace_seconds": NEVER} | given))


def test_step__is_done_once_by_who_comes_first_and_readers_do_not_wait_for_it(held):
    work = work_of("a view", held)
    assert not work.is_ready("/customers")
    assert not work.is_ready("/customers")
    assert work.is_ready("/models"), "what has no step needs nothing"
    running = threading.Thread(target=work.run, args=[lambda: True])
    running.start()
    held.may.set()
    running.join(60)
    assert work.is_done
    assert work.is_ready("/customers")
    assert held.views == ["a view"]


def test_step__that_is_quick_is_waited_for():
    seen = []
    assert work_of("a view", seen.append, grace_seconds=60).is_ready("/customers")
    assert seen == ["a view"]


def test_steps__of_a_view_that_nobody_wants_any_more_are_left():
    seen = []
    assert not work_of("a view", seen.append).run(lambda: False)
    assert not seen


@pytest.fixture
def serving(served):
    """Over the same store and registry, looked at by hand."""
    return Serving(served.serving.store, served.serving.registry)


def test_promotion__is_answered_from_at_once_and_shown_when_its_pages_are_there(serving, monkeypatch, held):
    assert serving.refresh()
    before = serving.view
    assert serving.shown == Shown(before, serving._work)
    serving._warm = {"/": held}
    promoted = replace(before.fingerprint, versions=(("clv", "99"),))
    monkeypatch.setattr(serving, "_look", lambda as_of: (promoted, {}))
    assert serving.refresh()
    assert serving.view is not before, "answers do not wait"
    assert serving.shown == Shown(before, is_former=True)
    assert serving.in_sight is before
    held.may.set()
    serving._warming.join(60)
    assert serving.shown.view is serving.view
    assert not serving.shown.is_former


def test_start__shows_at_once_what_is_there(serving, held):
    serving._warm = {"/": held}
    assert serving.refresh()
    assert serving.shown.view is serving.view, "there is nothing before it"
    assert serving.shown.is_ready("/models")
    assert not serving.shown.work.is_done
    second = replace(serving.view.fingerprint, versions=(("clv", "99"),))
    serving._look = lambda as_of: (second, {})
    assert serving.refresh()
    assert serving.shown.view is serving.view, "pages that never were there are not shown for those to come"
    held.may.set()
    serving._warming.join(60)


def test_page__that_is_being_worked_out_says_so_in_its_frame(served, monkeypatch, held):
    monkeypatch.setattr(served.serving, "_work", work_of(served.serving.view, held))
    for code, told in (("en", "Being worked out"), ("de", "Wird berechnet")):
        answer = served.client.get("/customers", headers={"Accept-Language": code})
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        assert 'data-again="page"' in answer.text
        assert told in answer.text
        assert served.serving.view.company.name in answer.text
    assert served.client.get("/v1/customers").status_code == 200
    assert 'data-again="page"' not in served.client.get("/models").text
    held.may.set()
    assert served.serving._work.run(lambda: True)
    assert 'data-again="page"' not in served.client.get("/customers").text


def test_pages__of_the_view_before_say_so_and_answers_are_of_the_new_one(served, monkeypatch):
    view = served.serving.view
    clv = view.champions["clv"]
    former = replace(view, champions={**view.champions, "clv": replace(clv, ref=clv.ref.model_copy(update={"version": "77"}))}, _pages={})
    monkeypatch.setattr(served.serving, "_apart", Shown(former, is_former=True))
    text = served.client.get("/customers").text
    assert "These pages are of the champions before" in text
    overview = served.client.get("/").text
    assert "<b>v77</b>" in overview
    ready = served.client.get("/health/ready").json()
    assert ready["champions"]["clv"]["version"] == clv.ref.version
    models = served.client.get("/models").text
    assert "These pages are of the champions before" not in models, "it tells of what answers come from"


@pytest.mark.browser
def test_page__that_is_being_worked_out_comes_by_itself(served, monkeypatch, held, visit):
    monkeypatch.setattr(served.serving, "_work", work_of(served.serving.view, held))
    opened = visit("/customers", width=390, scheme="dark", language="de-DE")
    opened.page.wait_for_selector("#working")
    assert not opened.scrolls_sideways()
    assert not opened.hindrances()
    held.may.set()
    opened.page.wait_for_selector("#customers, #list, form[data-live]", timeout=60_000)
    assert not opened.page.query_selector("#working")
    assert not opened.complaints
