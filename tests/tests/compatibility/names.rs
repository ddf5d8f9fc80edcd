//! Names that the tables of `docs/spec/behaviour.md` abbreviate, written out.

/// What stands before an abbreviated metric of several words.
const NAMESPACES: [&str; 5] = [
    "consensus_etcdraft",
    "consensus_smartbft",
    "consensus_BFT",
    "grpc_server_stream",
    "grpc_server_unary",
];

/// A key whose neighbours in the row leave out this word.
const WORD_LEFT_OUT: (&str, &str) = ("General.Cluster.ReplicationBufferSize", "Replication");

/// The metrics of a row. `_sent` behind `a_received` is `a_sent`; `_more_words` begin behind the namespace.
pub(crate) fn metrics(cells: &[String]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let first = without_remarks(&cells[0]);
    for name in first.split([',', ';']).map(str::trim) {
        let whole = match (name.strip_prefix('_'), names.last()) {
            (Some(rest), Some(before)) => written_out(rest, before),
            _ => name.to_owned(),
        };
        names.push(whole);
    }
    for cell in &cells[1..] {
        let words = cell.split([' ', ',', ';']).filter(|word| word.ends_with("_*"));
        names.extend(words.map(str::to_owned));
    }
    names
}

fn written_out(rest: &str, before: &str) -> String {
    let begin = if rest.contains('_') {
        NAMESPACES
            .into_iter()
            .find(|namespace| before.starts_with(&format!("{namespace}_")))
    } else {
        before.rsplit_once('_').map(|(begin, _)| begin)
    };
    let begin = begin.unwrap_or_else(|| panic!("what does _{rest} behind {before} stand for?"));
    format!("{begin}_{rest}")
}

/// Without what stands in parentheses.
fn without_remarks(cell: &str) -> String {
    let mut depth = 0;
    let mut text = String::new();
    for c in cell.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ if depth == 0 => text.push(c),
            _ => {}
        }
    }
    text
}

/// The keys of a row: `General.A / B.C / D.{E,F} / TLS.*`.
pub(crate) fn keys(cell: &str, tls: &[String]) -> Vec<String> {
    let mut pieces = cell.split(" / ").map(str::trim);
    let first = pieces.next().unwrap_or_default();
    let (section, _) = first.rsplit_once('.').unwrap_or((first, ""));
    let mut keys = expanded(first, tls);
    for piece in pieces {
        let word = if first == WORD_LEFT_OUT.0 {
            WORD_LEFT_OUT.1
        } else {
            ""
        };
        keys.extend(expanded(&format!("{section}.{word}{piece}"), tls));
    }
    keys
}

fn expanded(key: &str, tls: &[String]) -> Vec<String> {
    if let Some(section) = key.strip_suffix('*') {
        return tls.iter().map(|leaf| format!("{section}{leaf}")).collect();
    }
    match key.strip_suffix('}').and_then(|key| key.split_once('{')) {
        Some((section, leaves)) => {
            let leaves = leaves.split(',').map(str::trim);
            leaves.map(|leaf| format!("{section}{leaf}")).collect()
        }
        None => vec![key.to_owned()],
    }
}

/// What `TLS.*` stands for: the keys of `General.TLS`.
pub(crate) fn tls_keys<'a>(mut cells: impl Iterator<Item = &'a str>) -> Vec<String> {
    let section = "General.TLS.";
    let cell = cells.find_map(|cell| cell.strip_prefix(section));
    let leaves = cell.into_iter().flat_map(|cell| cell.split(" / "));
    leaves.map(|leaf| leaf.trim().to_owned()).collect()
}

#[cfg(test)]
fn row(cells: &[&str]) -> Vec<String> {
    cells.iter().map(|cell| (*cell).to_owned()).collect()
}

#[test]
fn abbreviated_metrics_are_written_out() {
    let active = row(&[
        "consensus_etcdraft_active_nodes, _is_leader, _snapshot_block_number",
        "gauge",
    ]);
    assert_eq!(
        metrics(&active),
        [
            "consensus_etcdraft_active_nodes",
            "consensus_etcdraft_is_leader",
            "consensus_etcdraft_snapshot_block_number"
        ]
    );
    let stream = row(&["grpc_server_stream_messages_received, _sent, _requests_received"]);
    assert_eq!(
        metrics(&stream),
        [
            "grpc_server_stream_messages_received",
            "grpc_server_stream_messages_sent",
            "grpc_server_stream_requests_received"
        ]
    );
    let unary =
        row(&["grpc_server_unary_requests_received; _completed (+code, x); _request_duration (+code)"]);
    assert_eq!(
        metrics(&unary),
        [
            "grpc_server_unary_requests_received",
            "grpc_server_unary_requests_completed",
            "grpc_server_unary_request_duration"
        ]
    );
    let library = row(&[
        "etcd_a, etcd_b_*",
        "mixed",
        "from the library; plus go_*, process_*",
    ]);
    assert_eq!(metrics(&library), ["etcd_a", "etcd_b_*", "go_*", "process_*"]);
}

#[test]
fn abbreviated_keys_are_written_out() {
    let tls = tls_keys(["General.ListenAddress", "General.TLS.Enabled / PrivateKey"].into_iter());
    assert_eq!(tls, ["Enabled", "PrivateKey"]);
    for (cell, expected) in [
        ("General.A / B", &["General.A", "General.B"][..]),
        (
            "General.BCCSP.Default / SW.Hash / PKCS11.{Library, Label}",
            &[
                "General.BCCSP.Default",
                "General.BCCSP.SW.Hash",
                "General.BCCSP.PKCS11.Library",
                "General.BCCSP.PKCS11.Label",
            ],
        ),
        (
            "Admin.ListenAddress / TLS.*",
            &["Admin.ListenAddress", "Admin.TLS.Enabled", "Admin.TLS.PrivateKey"],
        ),
        (
            "General.Cluster.ReplicationBufferSize / PullTimeout",
            &[
                "General.Cluster.ReplicationBufferSize",
                "General.Cluster.ReplicationPullTimeout",
            ],
        ),
    ] {
        assert_eq!(keys(cell, &tls), expected);
    }
}
