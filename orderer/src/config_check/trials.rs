//! What the node would do at its start, tried without doing it.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use super::authorities;
use super::places;
use super::private;
use super::report::Finding;
use crate::catchup::Puller;
use crate::cluster::Cluster;
use crate::config::{Config, Environment, Listen, ServerTls};
use crate::expiry::{files, watch::Watch};
use crate::local_msp;
use crate::logging::format::Format;
use crate::logging::spec::Spec;
use crate::tls::Acceptor;

/// What a start opens in `FileLedger.Location`. Left there by another user, each is in the way by itself.
const DATA_FOLDERS: [&str; 4] = ["chains", "index", "pendingops/join", "pendingops/remove"];

/// Everything, in the order of a start.
pub(super) fn all(config: &Config, environment: &Environment) -> Vec<Finding> {
    let mut findings = vec![logging(environment)];
    findings.extend(log_format(environment));
    findings.extend(identity(config));
    findings.extend(listeners(config));
    findings.push(calls(config));
    findings.extend(folders(config));
    findings.extend(dates(config));
    findings.extend(private::keys_that_others_read(config));
    findings.extend(authorities::authorities_that_cannot_be_read(config));
    findings
}

fn logging(environment: &Environment) -> Finding {
    let text = environment.get("FABRIC_LOGGING_SPEC").map_or("", String::as_str);
    match Spec::parse(text) {
        Ok(spec) => Finding::ok(format!("FABRIC_LOGGING_SPEC: {spec}")),
        Err(error) => Finding::problem(error.to_string()),
    }
}

fn log_format(environment: &Environment) -> Option<Finding> {
    let text = environment.get("FABRIC_LOGGING_FORMAT")?;
    let error = Format::parse(text, false).err()?;
    Some(Finding::problem(error.to_string()))
}

/// The node's identity, and what calls to other orderers for blocks need.
fn identity(config: &Config) -> Vec<Finding> {
    let general = &config.general;
    let identity = match local_msp::load(general) {
        Ok(identity) => Arc::new(identity),
        Err(error) => return vec![Finding::problem(format!("General.LocalMSPDir: {error}"))],
    };
    let subject = identity.certificate().subject().to_owned();
    let mut findings = vec![Finding::ok(format!(
        "General.LocalMSPDir: {subject} of {}, with its private key",
        general.local_msp_id
    ))];
    if let Err(error) = Puller::load(general, identity) {
        findings.push(Finding::problem(format!(
            "block requests to other orderers: {error}"
        )));
    }
    findings
}

/// The certificate shown to other orderers, and the authorities they are verified with.
fn calls(config: &Config) -> Finding {
    let cluster = Cluster::new(&config.general, Arc::default());
    match (cluster, config.general.lack_for_cluster()) {
        (Err(error), _) => Finding::problem(format!("calls to other orderers: {error}")),
        (Ok(_), Some(lack)) => Finding::warning(format!(
            "this node cannot take part in channels with several orderers: {lack}"
        )),
        (Ok(_), None) => Finding::ok("calls to other orderers: certificate, key and authorities can be used"),
    }
}

/// One listener of the node.
struct Place<'a> {
    name: &'static str,
    listen: &'a Listen,
    tls: Option<&'a ServerTls>,
    is_http: bool,
}

fn places_of(config: &Config) -> Vec<Place<'_>> {
    let general = &config.general;
    let cluster = general.cluster.listener.as_ref().map(|listener| Place {
        name: "cluster",
        listen: &listener.listen,
        tls: Some(&listener.tls),
        is_http: false,
    });
    let mut all = vec![Place {
        name: "general",
        listen: &general.listen,
        tls: general.tls.as_ref(),
        is_http: false,
    }];
    all.extend(cluster);
    let (admin, operations) = (&config.admin, &config.operations);
    all.push(Place {
        name: "admin",
        listen: &admin.listen,
        tls: admin.tls.as_ref(),
        is_http: true,
    });
    all.push(Place {
        name: "operations",
        listen: &operations.listen,
        tls: operations.tls.as_ref(),
        is_http: true,
    });
    all
}

fn listeners(config: &Config) -> Vec<Finding> {
    let all = places_of(config);
    let mut findings = Vec::new();
    for (at, place) in all.iter().enumerate() {
        let (name, listen) = (place.name, place.listen);
        let same = all[..at]
            .iter()
            .find(|other| other.listen == listen && listen.port != 0);
        if let Some(other) = same {
            let text = format!(
                "the {} listener and the {name} listener are both at {listen}",
                other.name
            );
            findings.push(Finding::problem(text));
        } else {
            findings.push(places::address(name, listen));
        }
        findings.extend(tls(config, place));
    }
    findings
}

fn tls(config: &Config, place: &Place<'_>) -> Option<Finding> {
    let (time_max, name) = (config.general.connection_timeout, place.name);
    let settings = place.tls?;
    let acceptor = if place.is_http {
        Acceptor::for_http(Some(settings), time_max)
    } else {
        Acceptor::for_grpc(Some(settings), time_max)
    };
    Some(match acceptor {
        Ok(_) => Finding::ok(format!(
            "TLS of the {name} listener: certificate and key belong together"
        )),
        Err(error) => Finding::problem(format!("TLS of the {name} listener: {error}")),
    })
}

fn folders(config: &Config) -> Vec<Finding> {
    let consensus = &config.consensus;
    let all: [(&str, &Path); 3] = [
        ("FileLedger.Location", &config.ledger.location),
        ("Consensus.WALDir", &consensus.wal_dir),
        ("Consensus.SnapDir", &consensus.snap_dir),
    ];
    let mut findings: Vec<Finding> = all
        .iter()
        .map(|(key, folder)| places::folder(key, folder))
        .collect();
    let inside = DATA_FOLDERS.map(|name| config.ledger.location.join(name));
    findings.extend(
        inside
            .iter()
            .filter_map(|folder| places::unusable("FileLedger.Location", folder)),
    );
    if let Some(guard) = &config.general.disk_guard {
        findings.extend(
            all.iter()
                .filter_map(|(key, folder)| places::room(key, folder, guard)),
        );
    }
    findings
}

/// What the node would warn of. Dates keep nobody from starting.
fn dates(config: &Config) -> Vec<Finding> {
    let (now, all) = (SystemTime::now(), files::all(config));
    let mut watch = Watch::new(config.general.cluster.certificate_warning_time);
    let due = watch.due(&all, now);
    let first = all.iter().min_by_key(|dated| dated.not_after);
    match first {
        Some(first) if due.is_empty() => vec![Finding::ok(format!(
            "{} certificates are valid; the first to expire is the {first}, on {}",
            all.len(),
            first.end()
        ))],
        _ => due.into_iter().map(Finding::warning).collect(),
    }
}
