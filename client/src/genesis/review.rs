//! What an operator should hear about a block that was asked for and that can be made.
//!
//! A genesis block is made of whatever was given as long as its format can express it, because scripts rely on
//! that (`docs/spec/tools.md` §6). Mistakes that only show when a node should join are told here.

use configtx::capability::{ChannelCapabilities, OrdererCapabilities};
use configtx::genesis::{CapabilityNames, Consensus, Organization, Profile};
use configtx::identity::{Certificate, Msp, MspLevel};
use configtx::join::check_join_block;
use protos::ChannelId;
use protos::wire::common::{Block, Capabilities, Capability};
use protos::wire::orderer::smartbft;

use crate::connection::Address;

/// Capabilities that peers know.
const APPLICATION_CAPABILITIES: [&str; 6] = ["V1_1", "V1_2", "V1_3", "V1_4_2", "V2_0", "V2_5"];

/// Everything that looks wrong with `profile` and the `block` of `channel` that was made of it, a line each.
pub fn review(profile: &Profile, channel: &str, block: &Block) -> Vec<String> {
    let mut review = Review::default();
    if let Err(error) = ChannelId::parse(channel) {
        review.say("channel id", error);
    }
    let channel_capabilities = ChannelCapabilities::new(&wire_capabilities(&profile.capabilities));
    review.capabilities(profile, &channel_capabilities);
    review.consensus(&profile.orderer.consensus);
    for address in &profile.orderer.addresses {
        review.address("/Channel/OrdererAddresses", address);
    }
    for (parent, organizations) in groups(profile) {
        review.organizations(&parent, organizations, channel_capabilities.msp_level());
    }
    if profile.consortiums.is_some() {
        let past = "it makes this the block of a system channel, which orderers since v3 do not have";
        review.say("/Channel/Consortiums", past);
    }
    if let Err(error) = check_join_block(block) {
        review.say("no orderer can join the channel with this block", error);
    }
    review.warnings
}

/// The groups that hold organisations, with their paths.
fn groups(profile: &Profile) -> Vec<(String, &[Organization])> {
    let orderer = ("/Channel/Orderer".to_owned(), &profile.orderer.organizations[..]);
    let application = profile.application.iter();
    let application = application.map(|it| ("/Channel/Application".to_owned(), &it.organizations[..]));
    let consortiums = profile.consortiums.iter().flatten();
    let consortiums = consortiums.map(|(name, orgs)| (format!("/Channel/Consortiums/{name}"), &orgs[..]));
    [orderer]
        .into_iter()
        .chain(application)
        .chain(consortiums)
        .collect()
}

#[derive(Default)]
struct Review {
    warnings: Vec<String>,
}

impl Review {
    fn say(&mut self, about: &str, what: impl std::fmt::Display) {
        self.warnings.push(format!("{about}: {what}"));
    }

    fn capabilities(&mut self, profile: &Profile, channel: &ChannelCapabilities) {
        let orderer = OrdererCapabilities::new(&wire_capabilities(&profile.orderer.capabilities));
        let application = profile
            .application
            .as_ref()
            .and_then(|it| it.capabilities.as_ref());
        let application = application.into_iter().flatten();
        let application = application.filter(|name| !APPLICATION_CAPABILITIES.contains(&name.as_str()));
        let unknown = [
            ("/Channel/Capabilities", channel.unsupported().to_vec()),
            ("/Channel/Orderer/Capabilities", orderer.unsupported().to_vec()),
            (
                "/Channel/Application/Capabilities",
                application.cloned().collect(),
            ),
        ];
        for (about, name) in unknown
            .iter()
            .flat_map(|(about, names)| names.iter().map(move |name| (about, name)))
        {
            self.say(about, format!("{name} is no capability of this level"));
        }
    }

    fn consensus(&mut self, consensus: &Consensus) {
        match consensus {
            Consensus::Solo => {}
            Consensus::Etcdraft(metadata) => {
                for member in &metadata.consenters {
                    let files = [
                        ("client TLS certificate", &member.client_tls_cert[..]),
                        ("server TLS certificate", &member.server_tls_cert[..]),
                    ];
                    self.consenter(&member.host, member.port, &files);
                }
            }
            Consensus::Bft { consenters, options } => {
                for member in consenters {
                    let files = [
                        ("identity", &member.identity[..]),
                        ("client TLS certificate", &member.client_tls_cert[..]),
                        ("server TLS certificate", &member.server_tls_cert[..]),
                    ];
                    self.consenter(&member.host, member.port, &files);
                }
                self.consenter_ids(consenters.iter().map(|member| member.id).collect());
                if let Some(options) = options {
                    self.bft_options(options);
                }
            }
        }
    }

    fn consenter(&mut self, host: &str, port: u32, certificates: &[(&str, &[u8])]) {
        let about = format!("consenter {host}:{port}");
        self.port(&about, i64::from(port));
        for (what, content) in certificates {
            if let Err(error) = Certificate::from_pem(content) {
                self.say(&about, format!("its {what} is none: {error}"));
            }
        }
    }

    fn consenter_ids(&mut self, mut ids: Vec<u32>) {
        ids.sort_unstable();
        if ids.first() == Some(&0) {
            self.say(
                "consenters",
                "a consenter without ID, or with ID 0, cannot take part",
            );
        }
        let twice = ids.windows(2).find(|pair| pair[0] == pair[1]);
        if let Some(id) = twice.and_then(|pair| pair.first()) {
            self.say("consenters", format!("ID {id} belongs to more than one"));
        }
    }

    fn bft_options(&mut self, options: &smartbft::Options) {
        let missing: Vec<_> = required_bft_options(options)
            .into_iter()
            .filter_map(|(name, missing)| missing.then_some(name))
            .collect();
        if !missing.is_empty() {
            let missing = missing.join(", ");
            let all_or_none = "options given in part are not completed, and no orderer can join without";
            self.say("SmartBFT", format!("{all_or_none} {missing}"));
        }
        if !(0..=2).contains(&options.leader_rotation) {
            self.say("SmartBFT", "LeaderRotation is 0, 1 (off) or 2 (on)");
        }
    }

    fn organizations(&mut self, parent: &str, organizations: &[Organization], level: MspLevel) {
        for (index, org) in organizations.iter().enumerate() {
            let about = format!("{parent}/{}", org.name);
            if organizations[..index]
                .iter()
                .any(|earlier| earlier.name == org.name)
            {
                self.say(
                    &about,
                    "there is more than one organisation of this name, and only the last counts",
                );
            }
            if let Err(error) = Msp::new(&org.msp, level) {
                self.say(&format!("{about}/MSP"), error);
            }
            for endpoint in &org.endpoints {
                self.address(&format!("{about}/Endpoints"), endpoint);
            }
            for peer in &org.anchor_peers {
                self.port(
                    &format!("{about}/AnchorPeers {}", peer.host),
                    i64::from(peer.port),
                );
            }
        }
    }

    fn address(&mut self, about: &str, address: &str) {
        if address.contains("://") || address.parse::<Address>().is_err() {
            self.say(about, format!("{address:?} should be HOST:PORT"));
        }
    }

    fn port(&mut self, about: &str, port: i64) {
        if !(1..=i64::from(u16::MAX)).contains(&port) {
            self.say(about, format!("{port} is no port"));
        }
    }
}

/// The options without which no BFT channel works, and whether they are missing.
fn required_bft_options(options: &smartbft::Options) -> [(&'static str, bool); 13] {
    [
        ("RequestBatchMaxCount", options.request_batch_max_count == 0),
        ("RequestBatchMaxBytes", options.request_batch_max_bytes == 0),
        (
            "RequestBatchMaxInterval",
            options.request_batch_max_interval.is_empty(),
        ),
        (
            "IncomingMessageBufferSize",
            options.incoming_message_buffer_size == 0,
        ),
        ("RequestPoolSize", options.request_pool_size == 0),
        (
            "RequestForwardTimeout",
            options.request_forward_timeout.is_empty(),
        ),
        (
            "RequestComplainTimeout",
            options.request_complain_timeout.is_empty(),
        ),
        (
            "RequestAutoRemoveTimeout",
            options.request_auto_remove_timeout.is_empty(),
        ),
        (
            "ViewChangeResendInterval",
            options.view_change_resend_interval.is_empty(),
        ),
        ("ViewChangeTimeout", options.view_change_timeout.is_empty()),
        (
            "LeaderHeartbeatTimeout",
            options.leader_heartbeat_timeout.is_empty(),
        ),
        ("LeaderHeartbeatCount", options.leader_heartbeat_count == 0),
        ("CollectTimeout", options.collect_timeout.is_empty()),
    ]
}

fn wire_capabilities(names: &CapabilityNames) -> Capabilities {
    let names = names.iter().flatten();
    Capabilities {
        capabilities: names.map(|name| (name.clone(), Capability::default())).collect(),
    }
}
