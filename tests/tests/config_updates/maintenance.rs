//! Maintenance mode. A solo channel can enter and leave it; what only channels of other types may do there is asked
//! of the processor, with the config of a raft channel.

use std::sync::Arc;
use std::time::SystemTime;

use client::deliver::{DeliverError, Position, Seek};
use configtx::{Bundle, validator};
use consensus::Members;
use orderer::processor::{self, ProcessError, Proposer, Rules, Verdict};
use prost::Message as _;
use protos::wire::common::{ConfigGroup, ConfigValue, Consenter, Orderers, Status};
use protos::wire::orderer::consensus_type::State;
use protos::wire::orderer::{ConsensusType, smartbft};
use protos::{BlockNumber, block};

use super::field::{Field, group, refusal, replay, set_batch, set_value};

fn set_state(root: &mut ConfigGroup, state: State) {
    let orderer = group(root, &["Orderer"]);
    let mut value = ConsensusType::decode(orderer.values["ConsensusType"].value.clone()).expect("a type");
    value.state = state as i32;
    set_value(orderer, "ConsensusType", value.encode_to_vec().into());
}

#[tokio::test(flavor = "multi_thread")]
async fn in_maintenance_only_orderers_write_and_read_until_it_is_left() {
    let field = Field::start().await;
    let user = field.alpha.signer("User1");
    field.order(&user).await.expect("ordered");
    let mut open = field.deliver(&user, Seek::follow(Position::Oldest)).await;
    open.next().await.expect("a reader").expect("block 0");
    field.change(|root| set_state(root, State::Maintenance)).await;

    let (status, info) = refusal(field.order(&user).await);
    assert_eq!(status, Status::ServiceUnavailable as i32);
    assert_eq!(info, "normal transactions are rejected: maintenance mode");
    let mut denied = field.deliver(&user, Seek::one(Position::Oldest)).await;
    let denied = denied.next().await;
    let forbidden = Status::Forbidden as i32;
    assert!(matches!(denied, Err(DeliverError::Refused { status }) if status == forbidden));

    field.change(|root| set_batch(root, 3)).await;
    // The stream that was open loses its right before block 3, the first one made in maintenance.
    let lost = loop {
        match open.next().await {
            Ok(Some(block)) => assert!(block.number().0 < 3, "an orderers' block"),
            other => break other,
        }
    };
    assert!(matches!(lost, Err(DeliverError::Refused { status }) if status == forbidden));

    field.change(|root| set_state(root, State::Normal)).await;
    field.order(&user).await.expect("ordered again");
    replay(&field.chain().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn maintenance_is_entered_with_nothing_else_in_the_same_update() {
    let field = Field::start().await;
    let both = field
        .update(|root| {
            set_state(root, State::Maintenance);
            set_batch(root, 3);
        })
        .await;
    let (status, info) = refusal(
        field
            .send(client::broadcast::Acknowledge::Committed, vec![both])
            .await,
    );
    assert_eq!(status, Status::BadRequest as i32);
    let expected = "config update for existing channel did not pass maintenance checks: ";
    assert!(info.starts_with(expected), "{info}");
}

/// What the processor makes of `edit` on a raft channel under `bundle`.
fn propose(
    field: &Field,
    bundle: &Arc<Bundle>,
    edit: impl FnOnce(&mut ConfigGroup),
) -> Result<Arc<Bundle>, ProcessError> {
    let rules = Arc::new(Rules::new(Arc::clone(bundle), false).expect("limits"));
    let update = field.update_of(bundle.config(), edit);
    let (now, identity) = (SystemTime::now(), field.orderers.admin());
    let Verdict::Update(admitted) = processor::process(update, |_| Some(rules), now)? else {
        panic!("it is an update");
    };
    let checked = admitted.propose(&Proposer {
        identity: &identity,
        nonce: [5; 24],
        members: &Members::default(),
        now,
    })?;
    let next = block::next(BlockNumber(1), &[0; 32], vec![checked.envelope.into_entry()]);
    let next = validator::validate(bundle, &next).expect("what is proposed may be committed");
    Ok(Arc::new(next))
}

/// No channel of this node can be of type etcdraft yet, so this asks the processor.
#[test]
fn a_raft_channel_enters_and_leaves_maintenance_with_nothing_else_in_the_same_update() {
    let field = Field::prepare(false);
    let genesis = Arc::new(Bundle::from_block(&field.raft_genesis()).expect("a config"));
    let combined = propose(&field, &genesis, |root| {
        set_state(root, State::Maintenance);
        set_batch(root, 3);
    });
    assert!(
        matches!(combined, Err(ProcessError::MaintenanceStep(_))),
        "{combined:?}"
    );
    let entered = propose(&field, &genesis, |root| set_state(root, State::Maintenance)).expect("entered");
    let left = propose(&field, &entered, |root| set_state(root, State::Normal)).expect("left");
    assert_eq!(left.sequence().0, 2);
    assert_eq!(left.orderer().consensus_type.kind, "etcdraft");
}

/// Sets type and metadata of the consensus, and who takes part in BFT.
fn set_bft(root: &mut ConfigGroup, options: &smartbft::Options, consenters: Vec<Consenter>) {
    let orderer = group(root, &["Orderer"]);
    let mut value = ConsensusType::decode(orderer.values["ConsensusType"].value.clone()).expect("a type");
    "BFT".clone_into(&mut value.r#type);
    value.metadata = options.encode_to_vec().into();
    set_value(orderer, "ConsensusType", value.encode_to_vec().into());
    let mapping = Orderers {
        consenter_mapping: consenters,
    };
    let mapping = ConfigValue {
        value: mapping.encode_to_vec().into(),
        mod_policy: "Admins".to_owned(),
        ..ConfigValue::default()
    };
    orderer.values.insert("Orderers".to_owned(), mapping);
}

/// `docs/spec/dropin.md` §3. The other texts of this kind are compared with the reference's own by the vectors.
#[test]
fn a_step_to_bft_that_may_not_be_made_is_refused_in_the_words_tools_compare() {
    let field = Field::prepare(false);
    let genesis = Arc::new(Bundle::from_block(&field.raft_genesis()).expect("a config"));
    let entered = propose(&field, &genesis, |root| set_state(root, State::Maintenance)).expect("entered");
    let good = configtx::genesis::bft_options();
    let bad = smartbft::Options {
        request_pool_size: 0,
        ..good.clone()
    };
    let stranger = Consenter {
        id: 1,
        host: "elsewhere".to_owned(),
        port: 7050,
        ..Consenter::default()
    };
    for (options, consenters, text) in [
        (&bad, vec![stranger.clone()], "invalid BFT metadata configuration"),
        (
            &good,
            Vec::new(),
            "invalid BFT consenter mapping configuration: Invalid new config: bft consenters are missing",
        ),
        (
            &good,
            vec![stranger],
            "invalid BFT consenter mapping configuration: No suitable BFT consenter for Raft consenter",
        ),
    ] {
        let refused = propose(&field, &entered, |root| set_bft(root, options, consenters));
        let told = refused.expect_err("a refusal").to_string();
        let prefix = "config update for existing channel did not pass maintenance checks: config transaction \
                      inspection failed: ";
        assert!(told.starts_with(&format!("{prefix}{text}")), "{told}");
    }
}
