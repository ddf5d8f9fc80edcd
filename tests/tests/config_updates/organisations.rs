//! Organisations that come and go, change their authority, or revoke a client.

use client::broadcast::Acknowledge;
use client::crypto::OrgKind;
use client::deliver::{DeliverError, Position, Seek};
use prost::Message as _;
use protos::wire::common::Status;
use protos::wire::msp::{FabricMspConfig, MspConfig};

use super::field::{Field, Org, PATIENCE, group, refusal, replay, set_value};
use super::revocation;

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_a_new_organisation_writes_after_the_update_and_not_before() {
    let field = Field::start().await;
    let gamma = field.newcomer("Gamma");
    let signer = gamma.signer("User1");
    let (status, _) = refusal(field.order(&signer).await);
    assert_eq!(status, Status::Forbidden as i32);
    add(&field, &gamma).await;
    field.order(&signer).await.expect("a member may write");
    let mut stream = field.deliver(&signer, Seek::one(Position::Newest)).await;
    let newest = stream.next().await.expect("a member may read").expect("a block");
    assert_eq!(newest.number().0, 2);
    replay(&field.chain().await);
}

async fn add(field: &Field, org: &Org) {
    let new = field.application_group(org);
    field
        .change(|root| {
            let application = group(root, &["Application"]);
            application.groups.insert(org.name.to_owned(), new);
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_rotated_ca_old_certificates_are_refused_and_new_ones_accepted() {
    let field = Field::start().await;
    let old = field.beta.signer("User1");
    let renewed = Org::make(&field.folder().join("renewed"), "Beta", OrgKind::Peer);
    let new = renewed.signer("User1");
    field.order(&old).await.expect("the old authority counts");
    let (status, _) = refusal(field.order(&new).await);
    assert_eq!(status, Status::Forbidden as i32);
    field
        .change(|root| set_value(group(root, &["Application", "Beta"]), "MSP", renewed.msp_value()))
        .await;
    let (status, info) = refusal(field.order(&old).await);
    assert_eq!(status, Status::Forbidden as i32, "{info}");
    field.order(&new).await.expect("the new authority counts");
    replay(&field.chain().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_reader_loses_its_open_stream_before_the_next_block() {
    let field = Field::start().await;
    let reader = field.beta.signer("User1");
    let mut stream = field.deliver(&reader, Seek::follow(Position::Oldest)).await;
    stream.next().await.expect("a member may read").expect("block 0");
    field
        .change(|root| drop(group(root, &["Application"]).groups.remove("Beta")))
        .await;
    field.order(&field.alpha.signer("User1")).await.expect("ordered");
    let end = loop {
        match stream.next().await {
            Ok(Some(block)) => assert!(
                block.number().0 < 2,
                "block 2 was cut under a config that the reader has no part in"
            ),
            Ok(None) => panic!("the stream has no end of its own"),
            Err(end) => break end,
        }
    };
    let DeliverError::Refused { status } = end else {
        panic!("expected a status, not {end}");
    };
    assert_eq!(status, Status::Forbidden as i32);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_client_is_refused_and_its_colleague_is_not() {
    let field = Field::start().await;
    let [revoked, colleague] = ["User1", "User2"].map(|user| field.beta.signer(user));
    for signer in [&revoked, &colleague] {
        field.order(signer).await.expect("a member may write");
    }
    let list = revocation::list(&field.beta, &field.beta.member("User1"));
    field
        .change(|root| {
            let beta = group(root, &["Application", "Beta"]);
            let mut msp = MspConfig::decode(beta.values["MSP"].value.clone()).expect("an MSP");
            let mut settings = FabricMspConfig::decode(msp.config).expect("settings");
            settings.revocation_list.push(list.into());
            msp.config = settings.encode_to_vec().into();
            set_value(beta, "MSP", msp.encode_to_vec().into());
        })
        .await;
    let (status, info) = refusal(field.order(&revoked).await);
    assert_eq!(status, Status::Forbidden as i32, "{info}");
    field.order(&colleague).await.expect("the others may write");
    replay(&field.chain().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_authorities_follow_the_organisations_of_the_channel() {
    let field = Field::start_with(true).await;
    let gamma = field.newcomer("Gamma");
    field.order(&field.alpha.signer("User1")).await.expect("ordered");
    assert!(!is_served(&field, &gamma).await, "nobody vouches for it yet");
    add(&field, &gamma).await;
    until(&field, &gamma, true).await;
    field
        .change(|root| drop(group(root, &["Application"]).groups.remove("Gamma")))
        .await;
    until(&field, &gamma, false).await;
}

/// Whether a message goes through on a connection with a certificate of `org`.
async fn is_served(field: &Field, org: &Org) -> bool {
    let Ok(connection) = field.connect_as(org).await else {
        return false;
    };
    let message = field.alpha.signer("User1").transaction("m".into()).bytes;
    let options = client::broadcast::BroadcastOptions {
        acknowledge: Some(Acknowledge::Committed),
        ..Default::default()
    };
    client::broadcast::submit_all(&connection, options, [message])
        .await
        .is_ok()
}

/// The listener takes over the authorities right after the config is in force.
async fn until(field: &Field, org: &Org, served: bool) {
    let waiting = async {
        while is_served(field, org).await != served {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .expect("the authorities are taken over");
}
