//! From our modules to the logger names of the reference.
//!
//! Operators write these names in logging specs and search for them, so they stay whatever our modules are
//! called. Code may also name its logger itself (`target: "orderer.common.server"`); such a target is taken as it
//! is.

use std::borrow::Cow;

/// Module path, and the logger of everything in it. The longest path that matches counts.
const LOGGERS: &[(&str, &str)] = &[
    ("orderer", "orderer.common.server"),
    ("orderer::admin", "orderer.common.channelparticipation"),
    ("orderer::broadcast", "orderer.common.broadcast"),
    ("orderer::catchup", "orderer.common.cluster.replication"),
    ("orderer::cluster", "orderer.common.cluster"),
    ("orderer::codec", "comm.grpc.server"),
    ("orderer::config", "orderer.common.localconfig"),
    ("orderer::deliver", "common.deliver"),
    ("orderer::multichannel", "orderer.common.multichannel"),
    ("orderer::onboarding", "orderer.common.onboarding"),
    ("orderer::processor", "orderer.common.msgprocessor"),
    ("orderer::server", "orderer.common.server"),
    ("orderer::tls", "core.comm"),
    ("orderer::verify_pool", "orderer.common.msgprocessor"),
    ("consensus", "orderer.consensus"),
    ("consensus::solo", "orderer.consensus.solo"),
    ("consensus::raft", "orderer.consensus.etcdraft"),
    ("consensus::bft", "orderer.consensus.smartbft"),
    ("blockcutter", "orderer.common.blockcutter"),
    ("configtx", "common.configtx"),
    ("configtx::identity", "msp"),
    ("configtx::policy", "policies"),
    ("configtx::bundle", "common.channelconfig"),
    ("ledger", "blkstorage"),
    ("client", "orderer.common.cluster.replication"),
    ("h2", "grpc"),
    ("hyper", "grpc"),
    ("hyper_util", "grpc"),
    ("tonic", "grpc"),
    ("tower", "grpc"),
    ("rustls", "core.comm"),
    ("tokio_rustls", "core.comm"),
    ("raft", "orderer.consensus.etcdraft"),
];

/// The logger of an event's target.
pub fn logger(target: &str) -> Cow<'_, str> {
    let matching = LOGGERS.iter().filter(|(module, _)| is_within(target, module));
    match matching.max_by_key(|(module, _)| module.len()) {
        Some((_, logger)) => Cow::Borrowed(logger),
        None if target.contains("::") => Cow::Owned(target.replace("::", ".")),
        None => Cow::Borrowed(target),
    }
}

fn is_within(target: &str, module: &str) -> bool {
    let rest = target.strip_prefix(module);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

#[cfg(test)]
mod tests {
    use super::logger;

    #[test]
    fn modules_have_the_names_operators_know() {
        for (target, name) in [
            ("orderer", "orderer.common.server"),
            ("orderer::broadcast::stream", "orderer.common.broadcast"),
            ("orderer::something_new", "orderer.common.server"),
            ("orderer.common.server", "orderer.common.server"),
            ("consensus::raft::core", "orderer.consensus.etcdraft"),
            ("consensus::rafting", "orderer.consensus"),
            ("configtx::policy::implicit", "policies"),
            ("h2::proto", "grpc"),
            ("sled::pagecache", "sled.pagecache"),
        ] {
            assert_eq!(logger(target), name, "{target}");
        }
    }
}
