"""ETags and conditional GET."""

from __future__ import annotations

import pytest

from predictkpi.service.conditional import matches

PATH = "/v1/kpis"
PLAIN = {"Accept-Encoding": "identity"}


def test_etag__is_of_the_body_and_strong_where_nothing_is_compressed(served):
    first, again = served.client.get(PATH, headers=PLAIN), served.client.get(PATH, headers=PLAIN)
    tag = first.headers["etag"]
    assert tag == again.headers["etag"]
    assert tag.startswith('"')
    packed = served.client.get(PATH, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["etag"] == f"W/{tag}"
    assert served.client.get("/v1/kpis/revenue", headers=PLAIN).headers["etag"] != tag
    assert {"accept-encoding", "authorization", "x-api-key", "cookie"} <= {
        name.strip().lower() for name in first.headers["vary"].split(",")
    }


@pytest.mark.parametrize("path", [PATH, "/v1/deals/portfolio", "/docs", "/health/live"])
def test_vary__says_once_that_an_answer_may_come_compressed(served, path):
    told = served.client.get(path, headers=PLAIN).headers.get_list("vary")
    assert [name.strip().lower() for each in told for name in each.split(",")].count("accept-encoding") == 1


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
@pytest.mark.parametrize("form", ["{}", '"other", {}', "W/{}", "*"])
def test_who_has_it_already__gets_304_without_a_body(served, encoding, form):
    headers = {"Accept-Encoding": encoding}
    tag = served.client.get(PATH, headers=headers).headers["etag"]
    answer = served.client.get(PATH, headers=headers | {"If-None-Match": form.format(tag.removeprefix("W/"))})
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == tag
    assert "content-type" not in answer.headers
    assert "authorization" in answer.headers["vary"].lower()
    assert answer.headers["x-request-id"]


def test_who_has_another__gets_the_whole(served):
    answer = served.client.get(PATH, headers={"If-None-Match": '"other"'})
    assert answer.status_code == 200
    assert answer.json()["items"]


@pytest.mark.parametrize(("path", "status"), [("/health/live", 200), ("/v1/deals/D-unknown/close-time", 404), ("/docs", 200)])
def test_what_is_no_answer_of_the_api__has_no_etag(served, path, status):
    answer = served.client.get(path, headers={"If-None-Match": "*"})
    assert answer.status_code == status
    assert "etag" not in answer.headers


def test_openapi__has_one(served):
    tag = served.client.get("/openapi.json").headers["etag"]
    assert served.client.get("/openapi.json", headers={"If-None-Match": tag}).status_code == 304


def test_matches__by_weak_comparison():
    assert matches('W/"a"', '"a"')
    assert matches('"b", W/"a"', 'W/"a"')
    assert not matches('"ab"', '"a"')
    assert not matches("a", '"a"')
    assert not matches("", '"a"')
