from __future__ import annotations

import pandas as pd
import pytest

from predictkpi.errors import MappingError
from predictkpi.sources import read_mapping

GOOD = """
company: {name: Acme, currency: USD, time_zone: America/New_York, fiscal_year_starts: 4}
exported_at: 2018-01-01
defaults: {delimiter: ";", dates: {format: "%Y-%m-%d"}}
feeds:
  - table: spend
    file: spend.csv
    values: {source: {No: none, 007: bond, on: "yes"}}
    columns: {ds: day, channel: source, cost: amount}
"""


@pytest.fixture
def read(tmp_path):
    def read_text(text: str):
        path = tmp_path / "mapping.yaml"
        path.write_text(text, encoding="utf-8")
        return read_mapping(path)

    return read_text


def test_read_mapping__spreads_defaults_and_lets_a_feed_override_them(read):
    mapping = read(GOOD.replace("file: spend.csv", "file: spend.csv\n    delimiter: ','"))
    assert mapping.company.fiscal_year_starts == 4
    assert (mapping.feeds[0].delimiter, mapping.feeds[0].dates.format) == (",", "%Y-%m-%d")


def test_read_mapping__values_mean_what_they_say(read):
    assert read(GOOD).feeds[0].values == {"source": {"No": "none", "007": "bond", "on": "yes"}}


@pytest.mark.parametrize(
    ("text", "start", "until"),
    [
        ("2018-01-01", "2018-01-01", "2018-01-01 23:59:59.999999"),
        ("2018-01-01T06:30", "2018-01-01 06:30", "2018-01-01 06:30"),
        ("2018-01-01T12:00Z", "2018-01-01 07:00", "2018-01-01 07:00"),
    ],
)
def test_exported_at__is_local_time_and_a_date_is_a_whole_day(read, text, start, until):
    mapping = read(GOOD.replace("2018-01-01", text))
    assert (mapping.exported_from, mapping.exported_until) == (pd.Timestamp(start), pd.Timestamp(until))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("company:", "compny:", "compny: no such key (did you mean 'company'?)"),
        ("feeds:", "feeds: []\nfeed:", "feed: no such key (did you mean 'feeds'?)"),
        ("time_zone:", "timezone:", "company.timezone: no such key (did you mean 'time_zone'?)"),
        ("America/New_York", "New York", "no such time zone: 'New York'"),
        ("USD", "usd", "company.currency"),
        ("2018-01-01", "01.02.2018", "exported_at: '01.02.2018' is no ISO date"),
        ('";"', "semicolon", "defaults.delimiter"),
        ('format: "%Y-%m-%d"', "format: yyyy-mm-dd", "'yyyy-mm-dd' is no strptime format"),
        ("defaults: {", "defaults: {encoding: utf-9, ", "no such encoding: 'utf-9'"),
        ("defaults: {", "defaults: {encoding: rot13, ", "no such encoding: 'rot13'"),
        ("defaults: {", "defaults: {encoding: hex, ", "no such encoding: 'hex'"),
        ("%Y-%m-%d", "%Y-%m-%Q", "'%Y-%m-%Q' is no strptime format: 'Q' is a bad directive"),
        ("%Y-%m-%d", "%Y-%m-%Y", "'%Y-%m-%Y' is no strptime format"),
        ("%Y-%m-%d", "%Y-%m-%", "'%Y-%m-%' is no strptime format: stray %"),
        ('";"', "§", "'§' cannot part fields"),
        ('";"', "'\"'", "cannot part fields"),
        ("file: spend.csv", "file: spend.csv\n    ? [a, b]\n    : c", "['a', 'b'] cannot be a key"),
        ("file: spend.csv", "file: spend.csv\n    <<: foo", "<<: 'foo' is no mapping"),
        ("feeds:", "deep: " + "[" * 5000 + "]" * 5000 + "\nfeeds:", "nested too deeply"),
        ("table: spend", "table: spent", "feeds[0] (spent from spend.csv): no table named 'spent' (did you mean 'spend'?)"),
        ("channel: source", "chanel: source", "spend has no column 'chanel' (did you mean 'channel'?)"),
        (", cost: amount", "", "spend needs cost"),
        ("file: spend.csv", "file: spend.csv\n    constants: {cost: 1}", "cost: given by a column and by a constant"),
        ("file: spend.csv", "file: spend.csv\n    when: {source: web}", "for the value 'web' write [web]"),
        (
            "file: spend.csv",
            "file: spend.csv\n    join: [{file: x.csv, key: a}]",
            "feeds[0].join[0].key (spend from spend.csv): no such key",
        ),
        ("file: spend.csv", "file: spend.csv\n    file: other.csv", "the key 'file' is given twice"),
        ("file: spend.csv", "file: [spend.csv", "no valid YAML"),
        (GOOD, "", "expected company, feeds"),
        (GOOD, "feeds: []", "there is no feed"),
        (GOOD, "feeds: [3]", "feeds[0]"),
    ],
)
def test_read_mapping__names_the_key_and_the_way_out(read, tmp_path, old, new, message):
    with pytest.raises(MappingError) as caught:
        read(GOOD.replace(old, new))
    assert message in str(caught.value)
    assert str(tmp_path / "mapping.yaml") in str(caught.value)


def test_read_mapping__says_once_what_the_defaults_have_wrong(read):
    text = (
        GOOD.replace('"%Y-%m-%d"', '"%Y-%m-%d", time_zone: Berlin')
        + "  - {table: spend, file: b.csv, columns: {ds: a, channel: b, cost: c}}"
    )
    with pytest.raises(MappingError) as caught:
        read(text)
    assert str(caught.value).count("no such time zone") == 1
    assert "defaults.dates.time_zone" in str(caught.value)


def test_read_mapping__absent_file(tmp_path):
    with pytest.raises(MappingError, match=r"none\.yaml"):
        read_mapping(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("country", "says"),
    [
        ("Germany", "two capital letters, such as DE"),
        ("XQ", "no public holidays are known for the country 'XQ'"),
        ("DE-XX", "no region 'XX' of DE"),
    ],
)
def test_country__that_has_no_known_holidays_is_refused_with_the_way_out(read, country, says):
    with pytest.raises(MappingError, match=says):
        read(GOOD.replace("currency: USD", f"currency: USD, country: {country}"))


def test_country__may_be_one_or_a_region_of_it(read):
    assert [read(GOOD.replace("currency: USD", f"currency: USD, country: {code}")).company.country for code in ("DE", "DE-BY")] == [
        "DE",
        "DE-BY",
    ]
