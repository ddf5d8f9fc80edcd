"""Reads /metrics with prometheus_client's parsers and prints how many families and samples there are."""

import sys
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

# As dashboards and alarms for Fabric name them. After a join, without load.
EXPECTED = {
    "consensus_etcdraft_committed_block_number": "gauge",
    "consensus_etcdraft_is_leader": "gauge",
    "consensus_etcdraft_cluster_size": "gauge",
    "participation_consensus_relation": "gauge",
    "participation_status": "gauge",
    "ledger_blockchain_height": "gauge",
    "ledger_blockstorage_commit_time": "histogram",
    "logging_entries_checked": "counter",
    "logging_entries_written": "counter",
}


def fetch(url):
    with urllib.request.urlopen(url, timeout=20) as answer:
        kind = answer.headers["Content-Type"]
        assert kind.startswith("text/plain"), f"Content-Type is {kind}"
        return answer.read().decode()


def families_of(text):
    families = {}
    for family in text_string_to_metric_families(text):
        assert family.name not in families, f"{family.name} stands there twice"
        families[family.name] = family
    return families


def check_samples(family):
    names = {
        "counter": {family.name, family.name + "_total"},
        "gauge": {family.name},
        "histogram": {family.name + end for end in ("_bucket", "_sum", "_count")},
        "summary": {family.name, family.name + "_sum", family.name + "_count"},
    }
    assert family.type in names, f"{family.name} has the type {family.type}"
    seen = set()
    for sample in family.samples:
        assert sample.name in names[family.type], f"{sample.name} in the family {family.name}"
        key = (sample.name, tuple(sorted(sample.labels.items())))
        assert key not in seen, f"{key} stands there twice"
        seen.add(key)
        assert sample.value >= 0 or family.type == "gauge", f"{sample.name} is {sample.value}"
    if family.type == "histogram":
        check_histogram(family)


def check_histogram(family):
    """Buckets only grow, and the last one is the count."""
    rows = {}
    for sample in family.samples:
        labels = {name: value for name, value in sample.labels.items() if name != "le"}
        row = rows.setdefault(tuple(sorted(labels.items())), {"buckets": [], "count": None})
        if sample.name.endswith("_bucket"):
            row["buckets"].append((float(sample.labels["le"]), sample.value))
        elif sample.name.endswith("_count"):
            row["count"] = sample.value
    for labels, row in rows.items():
        buckets = sorted(row["buckets"])
        assert buckets[-1][0] == float("inf"), f"{family.name} {labels} has no +Inf"
        values = [value for _, value in buckets]
        assert values == sorted(values), f"{family.name} {labels} shrinks"
        assert values[-1] == row["count"], f"{family.name} {labels}: {values[-1]} of {row['count']}"


def main(url):
    first, second = families_of(fetch(url)), families_of(fetch(url))
    for name, kind in EXPECTED.items():
        assert name in first, f"there is no {name}"
        assert first[name].type == kind, f"{name} is a {first[name].type}"
    for family in second.values():
        check_samples(family)
    before = {(s.name, str(s.labels)): s.value for f in first.values() if f.type == "counter" for s in f.samples}
    for family in second.values():
        for sample in family.samples if family.type == "counter" else ():
            assert sample.value >= before.get((sample.name, str(sample.labels)), 0), f"{sample.name} shrinks"
    print(len(second), sum(len(family.samples) for family in second.values()))


main(sys.argv[1])
