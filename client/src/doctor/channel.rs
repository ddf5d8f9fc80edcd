//! The consenters of a channel's config in force against what they show when they are dialled as a peer would.

use std::time::{Duration, SystemTime};

use configtx::Bundle;
use configtx::consensus_metadata::{Consenters, consenters_of};
use configtx::identity::{Certificate, Msp};
use futures::future::join_all;
use protos::ChannelId;
use protos::wire::etcdraft::Consenter;
use sha2::{Digest as _, Sha256};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::dial::{DialError, Shown, dial};
use super::finding::Finding;
use crate::config_change::certificate;
use crate::connection::Address;
use crate::tls::ClientTls;

/// Certificates that end within this are warned of: a rotation takes its time.
const EXPIRY_TIME: Duration = Duration::from_hours(30 * 24);

/// Everything that can be said of the consenters of `config`, dialled with the certificate of `tls`.
pub async fn findings(config: &Bundle, tls: &ClientTls, now: SystemTime) -> Vec<Finding> {
    let channel = config.channel_id();
    let place = format!("channel {channel}");
    let consenters = match consenters_of(config.orderer()) {
        Ok(Consenters::Raft(consenters)) => consenters,
        Ok(Consenters::Solo) => return vec![Finding::ok(place, "ordered by one node alone (solo)")],
        Ok(Consenters::Bft(_)) => {
            let next = "nodes of this version do not order BFT channels";
            return vec![Finding::problem(place, "its consensus type is BFT", next)];
        }
        Err(error) => {
            let next = "correct it with a config update: ordain config";
            return vec![Finding::problem(place, format!("its config: {error}"), next)];
        }
    };
    let authorities = authorities(config);
    let dialled = consenters
        .iter()
        .map(|consenter| look_at(channel, consenter, tls, &authorities, now));
    let dialled = join_all(dialled).await;
    let good = dialled.iter().filter(|looked| looked.is_good).count();
    let mut findings: Vec<Finding> = dialled.into_iter().flat_map(|looked| looked.findings).collect();
    findings.push(quorum(place, good, consenters.len()));
    findings
}

fn quorum(place: String, good: usize, members: usize) -> Finding {
    let quorum = members / 2 + 1;
    let what = format!(
        "{good} of {members} consenters can be reached with the right certificate, {quorum} are needed"
    );
    if good < quorum {
        let next = "see to the consenters above, one is enough for each that is lacking";
        return Finding::problem(place, what, next);
    }
    if good == quorum && members > 1 && good < members {
        let next = "one more that fails stops the channel: see to those that are lacking first";
        return Finding::warning(place, what, next);
    }
    Finding::ok(place, what)
}

struct Looked {
    is_good: bool,
    findings: Vec<Finding>,
}

async fn look_at(
    channel: &ChannelId,
    consenter: &Consenter,
    tls: &ClientTls,
    authorities: &[Vec<u8>],
    now: SystemTime,
) -> Looked {
    let text = format!("{}:{}", consenter.host, consenter.port);
    let place = format!("consenter {text} of {channel}");
    let mut findings = in_config(&place, &text, consenter, now);
    let address: Address = match text.parse() {
        Ok(address) => address,
        Err(error) => {
            let next = format!("ordain config replace-consenter {text}");
            findings.push(Finding::problem(place, format!("{error}"), next));
            return Looked {
                is_good: false,
                findings,
            };
        }
    };
    let shown = dial(&address, tls, authorities).await;
    let problems = match &shown {
        Ok(shown) => of_shown(&place, &text, consenter, shown),
        Err(error) => vec![unreached(&place, error)],
    };
    let is_good = problems.is_empty();
    findings.extend(problems);
    if findings.is_empty() {
        findings.push(Finding::ok(
            place,
            "answers, with the certificate that the config has for it",
        ));
    }
    Looked { is_good, findings }
}

/// The certificates that the config has for a consenter.
fn in_config(place: &str, address: &str, consenter: &Consenter, now: SystemTime) -> Vec<Finding> {
    let mut pems = vec![("server", &consenter.server_tls_cert)];
    if consenter.client_tls_cert != consenter.server_tls_cert {
        pems.push(("client", &consenter.client_tls_cert));
    }
    let rotate = format!("rotate it: ordain config rotate-consenter-cert {address} --tls-cert NEW.crt");
    let mut findings = Vec::new();
    for (which, pem) in pems {
        let Ok(parsed) = Certificate::from_pem(pem) else {
            let what = format!("its {which} TLS certificate in the config is none");
            findings.push(Finding::problem(place, what, &rotate));
            continue;
        };
        let (end, line) = (parsed.expires_at(), certificate::line(pem));
        if end <= now {
            // Others compare keys only, so the channel goes on with a newer certificate for the same key.
            let what = format!("its {which} TLS certificate in the config has expired: {line}");
            let next = format!("check that the node shows a newer one for the same key, else {rotate}");
            findings.push(Finding::warning(place, what, next));
        } else if end <= now + EXPIRY_TIME {
            let what = format!("its {which} TLS certificate in the config expires soon: {line}");
            let next = format!("give the node a newer one for the same key (SIGHUP loads it), or {rotate}");
            findings.push(Finding::warning(place, what, next));
        }
    }
    findings
}

fn unreached(place: &str, error: &DialError) -> Finding {
    match error {
        DialError::Tcp(reason) => Finding::problem(
            place,
            format!("cannot be reached from here: {reason}"),
            "is the orderer running there (its log says why it ended)? Does it listen on that port, and does no firewall \
             stand between?",
        ),
        DialError::Tls(_) => Finding::problem(
            place,
            error.to_string(),
            "this must be its TLS listener for other orderers: General.ListenPort with General.TLS.Enabled, or \
             General.Cluster.ListenPort",
        ),
    }
}

fn of_shown(place: &str, address: &str, consenter: &Consenter, shown: &Shown) -> Vec<Finding> {
    let mut problems = Vec::new();
    if let Err(reason) = &shown.verdict {
        let what = format!("other orderers refuse its TLS certificate: {reason}");
        problems.push(Finding::problem(place, what, mend_verdict(reason)));
    }
    let expected = Certificate::from_pem(&consenter.server_tls_cert);
    let expected = expected.ok().and_then(|certificate| key(certificate.der()));
    if expected != key(&shown.certificate) {
        let pem = pem::encode(&pem::Pem::new("CERTIFICATE", shown.certificate.clone()));
        let what = format!(
            "it shows another key than the config has for it\nshown:     {}\nin config: {}",
            certificate::line(pem.as_bytes()),
            certificate::line(&consenter.server_tls_cert)
        );
        let next = format!(
            "give the node its old certificate and key back, or tell the channel of the new one: ordain config \
             rotate-consenter-cert {address} --tls-cert SHOWN.crt"
        );
        problems.push(Finding::problem(place, what, next));
    }
    if let Err(reason) = &shown.accepted {
        let what = format!("it does not take the client certificate shown here: {reason}");
        let next = "show one that an authority of the channel's orderer organisations has issued, and check that its \
                    General.Cluster.RootCAs are still theirs";
        problems.push(Finding::problem(place, what, next));
    }
    problems
}

fn mend_verdict(reason: &str) -> &'static str {
    if reason.contains("xpired") {
        "give the node a newer certificate for the SAME key, and send it SIGHUP: no config update is needed"
    } else if reason.contains("NotValidForName") || reason.contains("not valid for") {
        "issue it a certificate that has that host among its names (SAN), or change the host that the config has for it: \
         ordain config replace-consenter"
    } else if reason.contains("UnknownIssuer") {
        "give the node a certificate of an authority that the channel knows, or tell the channel of the new authority: \
         ordain config set-org-msp"
    } else {
        "issue the node a new TLS certificate for the same key, usable for servers and clients, and send it SIGHUP"
    }
}

/// Algorithm and public key: what orderers know each other by.
pub fn key(certificate: &[u8]) -> Option<[u8; 32]> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Some(Sha256::digest(parsed.public_key().raw).into())
}

/// The TLS authorities of all organisations of a channel, in DER.
pub fn authorities(config: &Bundle) -> Vec<Vec<u8>> {
    let of_msp = |msp: &Msp| {
        let certificates = msp.tls_roots().iter().chain(msp.tls_intermediates());
        certificates
            .map(|certificate| certificate.der().to_vec())
            .collect::<Vec<_>>()
    };
    config.msps().msps().flat_map(of_msp).collect()
}
