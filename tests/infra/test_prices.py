"""What resources cost a month, by hand: 730 hours are 2,628,000 seconds."""

from __future__ import annotations

from datetime import date

import pytest

from buildflow_nb.core.pricing import Billed, Usage
from buildflow_nb.core.status.operations import Op
from buildflow_nb.core.status.plan import Change, Review
from buildflow_nb.core.status.stack_view import StackResource, StackView
from buildflow_nb.infra.plan_price import KnownUsage, priced
from buildflow_nb.infra.prices import price_rows, reckoned
from buildflow_nb.infra.report import monthly_of, price_said
from buildflow_nb.io.aws import S3Bucket, SQSQueue
from buildflow_nb.io.gcp import (
    BigQueryDataset,
    BigQueryTable,
    CloudSQLDatabase,
    CloudSQLInstance,
    GCPPubSubSubscription,
    GCPPubSubTopic,
    GCSBucket,
)

TOPIC = GCPPubSubTopic("p", "clicks")
TABLE = BigQueryTable(BigQueryDataset("p", "d"), "priced")
INSERTED = BigQueryTable(BigQueryDataset("p", "d"), "priced", method="insert_all")
LOADED = BigQueryTable(BigQueryDataset("p", "d"), "priced", method="load")
AT_120 = Usage(elements_per_s=120, element_kb=1)


def cost(primitive, usage):
    return reckoned(primitive.billed(), usage)


@pytest.mark.parametrize(
    ("primitive", "usage", "usd"),
    [
        # 120/s in batches of 10: 12 sends, 12 receives, 12 deletes a second; 94.608M at 0.40
        (SQSQueue("q"), AT_120, 37.8432),
        # the same at 0.50
        (SQSQueue("q.fifo"), AT_120, 47.304),
        # nothing comes: a poll every 20 s; 0.1314M at 0.40
        (SQSQueue("q"), Usage(elements_per_s=0), 0.05256),
        # ten of 100 kB are 16 chunks of 64 KB: 12 x (16 + 16 + 1) a second; 1,040.688M at 0.40
        (SQSQueue("q"), Usage(120, 100), 416.2752),
        # 1/s, one by one: a send, a receive, a delete each; 7.884M at 0.40
        (SQSQueue("q"), Usage(1, 1), 3.1536),
        # an object a second: 2,628 thousand at 0.005
        (S3Bucket("exports"), AT_120, 13.14),
        # 10,000/s are two objects of 5,000 a second; and 40 GB at 0.023
        (S3Bucket("exports"), Usage(10_000, 1, 40), 26.28 + 0.92),
        (GCSBucket("exports"), Usage(storage_gb=40), 0.8),
        # 120 kB/s are 0.286818 TiB at 40
        (TOPIC, AT_120, 11.47273),
        (GCPPubSubSubscription("p", "clicks-sub", topic=TOPIC), AT_120, 11.47273),
        # 1/s of 100 bytes: a request has 1 KB at least; 2.628 GB are 0.00239 TiB
        (TOPIC, Usage(1, 0.1), 0.0956061),
        # 315.36 GB at 0.025
        (TABLE, AT_120, 7.884),
        # 100 bytes count as 1 KB: 315.36 GB at 0.05
        (INSERTED, Usage(120, 0.1), 15.768),
        (LOADED, AT_120, 0.0),
        # 31 GB at 0.023, and 2 TiB scanned at 6.25
        (TABLE, Usage(storage_gb=31, scanned_tib=2), 0.713 + 12.5),
        # 730 hours at 0.0105, and 10 GB of disk at 0.17
        (CloudSQLInstance("db"), Usage(), 7.665 + 1.7),
        # two vCPU at 0.0413 an hour, 7.5 GB at 0.007, 10 GB of disk
        (
            CloudSQLInstance("db", settings={"tier": "db-custom-2-7680"}),
            Usage(),
            60.298 + 38.325 + 1.7,
        ),
        # in two zones twice of it; 25.55 for db-g1-small
        (
            CloudSQLInstance(
                "db",
                settings={
                    "tier": "db-g1-small",
                    "availability_type": "REGIONAL",
                    "disk_size": 20,
                },
            ),
            Usage(),
            2 * (25.55 + 3.4),
        ),
        (CloudSQLDatabase("shop", CloudSQLInstance("db")), Usage(), 0.0),
    ],
)
def test_worked_examples(primitive, usage, usd):
    found = cost(primitive, usage)
    assert found.usd == pytest.approx(usd, rel=1e-5)
    assert found.basis


@pytest.mark.parametrize("primitive", [SQSQueue("q"), S3Bucket("exports"), TOPIC, TABLE])
def test_without_usage_a_price_is_not_known_and_the_meters_are_told(primitive):
    found = cost(primitive, Usage())
    assert found.usd is None
    assert found.basis.startswith("depends on usage: 0.") or "depends on usage: 40" in found.basis


def test_what_is_in_no_table_is_not_known():
    for billed in (None, Billed("aws:kms/key:Key"), Billed("snowflake:index/table:Table")):
        assert reckoned(billed, AT_120).usd is None
    odd = Billed("gcp:sql/databaseInstance:DatabaseInstance", {"tier": "db-perf-optimized-N-2"})
    assert reckoned(odd, Usage()).usd is None


def test_each_row_has_a_source_and_a_date_where_there_is_one():
    for row in price_rows().values():
        assert row.source
        assert row.usd >= 0
        if row.as_of is None:
            assert "Google" in row.source
        else:
            assert date.fromisoformat(row.as_of) <= date(2026, 11, 30)


REAL = StackView(
    "prod",
    local=False,
    resources=(
        StackResource("aws:sqs/queue:Queue", "returns", "SQSQueue returns", "https://…/returns"),
        StackResource("aws:kms/key:Key", "k", "Key k", "k"),
    ),
)
QUEUE, NEW = SQSQueue("orders"), S3Bucket("thumbs")


def change(owner, op):
    return Change(owner, op, ())


def test_a_plan_says_what_there_is_then_and_what_it_changes():
    usage = KnownUsage(
        measured={
            "SQSQueue orders": AT_120,
            "SQSQueue returns": AT_120,
            "S3Bucket s3://thumbs": Usage(120, 1, 0),
        },
        when="29 Nov",
    )
    changes = [
        change("S3Bucket s3://thumbs", Op.CREATE),
        change("SQSQueue returns", Op.DELETE),
    ]
    found = priced(changes, [QUEUE, NEW], REAL, usage)
    assert found.total == pytest.approx(37.8432 + 13.14)
    assert found.change == pytest.approx(13.14 - 37.8432)
    assert found.unknown == ()  # what goes is not in the price
    assert found.said == (
        "at the last run's 120/s (29 Nov): 50.98 US dollars a month "
        "(list prices of 2026-08, us-east-1 and us-central1, without free allowances)"
    )
    assert len(found.sources) == 3
    assert all("infracost" in source for source in found.sources)


def test_a_price_that_leaves_parts_out_is_at_least_that_and_names_them():
    usage = KnownUsage({}, {"S3Bucket s3://thumbs": AT_120}, "29 Nov")
    made = change("S3Bucket s3://thumbs", Op.CREATE)
    found = priced([made], [NEW], REAL, usage)
    assert found.said.startswith(
        "at the last run's 120/s (29 Nov): at least 13.14 US dollars a month; "
        "without storage of s3://thumbs ("
    )
    assert found.change is None
    review = Review((made,), price=found)
    assert monthly_of(review, made) == "at least +13.14"
    assert "this plan" not in price_said(review)
    basis = found.by_owner["S3Bucket s3://thumbs"].basis
    assert basis.endswith(", without storage, which nobody knows")


@pytest.mark.parametrize(
    ("primitive", "usage", "missing"),
    [
        (S3Bucket("thumbs"), Usage(1), ("storage",)),
        (GCSBucket("thumbs"), Usage(storage_gb=1), ("writes",)),
        (S3Bucket("thumbs"), Usage(1, 1, 1), ()),
        (TABLE, Usage(1), ("storage", "scans")),
        (TABLE, Usage(storage_gb=1, scanned_tib=1), ("writes",)),
        (LOADED, Usage(storage_gb=1, scanned_tib=1), ()),
        (SQSQueue("q"), Usage(1), ()),
        (CloudSQLInstance("db"), Usage(), ()),
    ],
)
def test_what_is_billed_and_not_known_is_named(primitive, usage, missing):
    assert cost(primitive, usage).missing == missing


@pytest.mark.parametrize(
    "changed",
    [
        change("Key k", Op.DELETE),
        change("S3Bucket s3://thumbs", Op.CREATE),
        change("CloudSQLInstance db", Op.UPDATE),
    ],
)
def test_the_difference_is_not_told_where_one_side_is_not_known(changed):
    usage = KnownUsage({}, {"SQSQueue orders": AT_120})
    after = [QUEUE, NEW, CloudSQLInstance("db")]
    made = change("SQSQueue orders", Op.CREATE)
    assert priced([made], after, REAL, usage).change == pytest.approx(37.8432)
    assert priced([change("SQSQueue orders", Op.UPDATE)], after, REAL, usage).change == 0
    assert priced([made, changed], after, REAL, usage).change is None


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -1.0, 1e300])
def test_what_is_no_amount_is_no_usage(number):
    usage = Usage(number, number, number, number)
    assert cost(SQSQueue("q"), usage).usd is None
    assert cost(TABLE, usage).usd is None
    assert cost(SQSQueue("q"), Usage(120, number)).usd == cost(SQSQueue("q"), Usage(120)).usd
    assert cost(CloudSQLInstance("db"), usage).usd == cost(CloudSQLInstance("db"), Usage()).usd


def test_what_a_person_says_counts_before_what_was_measured():
    usage = KnownUsage(
        {"orders": Usage(elements_per_s=1)}, {"SQSQueue orders": Usage(120, element_kb=2)}
    )
    assert usage.of("SQSQueue orders", "orders") == Usage(1, 2)
    found = priced([], [QUEUE], REAL, usage)
    assert found.total == pytest.approx(3.1536)
    assert found.said.startswith("at the usage of buildflow.yaml")


def test_the_size_of_an_element_that_nobody_knows_is_said():
    usage = KnownUsage({}, {"SQSQueue orders": Usage(120)}, "29 Nov")
    assert ", 1 kB an element: 37.84 US" in priced([], [QUEUE], REAL, usage).said


def test_without_any_usage_nothing_is_made_up():
    found = priced([change("SQSQueue orders", Op.CREATE)], [QUEUE], REAL, KnownUsage())
    assert (found.total, found.unknown) == (0.0, ("SQSQueue orders",))
    assert found.said == "price not known"


def test_on_this_machine_it_is_free_and_what_it_would_cost_elsewhere_is_said():
    local = StackView("local", local=True)
    found = priced([], [QUEUE], local, KnownUsage())
    assert (found.said, found.free, found.total) == ("free (local cloud)", True, 0.0)
    usage = KnownUsage({}, {"SQSQueue orders": AT_120}, "29 Nov")
    found = priced([change("SQSQueue orders", Op.CREATE)], [QUEUE], local, usage)
    assert found.said.startswith(
        "free (local cloud); on a real cloud, at the last run's 120/s (29 Nov): 37.84 US dollars"
    )
    assert (found.free, found.total, found.change) == (True, 0.0, 0.0)
