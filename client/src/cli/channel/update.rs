//! Handing in a config update: what is looked at before the node is asked.

use std::path::Path;

use bytes::Bytes;
use prost::Message as _;
use protos::ChannelId;
use protos::envelope::Opened;
use protos::wire::common::{ConfigUpdate, ConfigUpdateEnvelope, HeaderType};

use super::Failure;
use crate::participation::{AdminClient, ChannelInfo};

/// An envelope that is an update of `channel`, as it came.
///
/// Two places of it name the channel, and a node believes the inner one (`docs/spec/behaviour.md` §8).
pub(super) fn check(envelope: Bytes, channel: &ChannelId, file: &Path) -> Result<Bytes, Failure> {
    let refuse = |what: String| {
        Err(Failure::new(format!("{}: {what}", file.display()))
            .hint("it should be a signed envelope of type CONFIG_UPDATE for the channel that is named"))
    };
    let opened = match Opened::open(envelope.clone()) {
        Ok(opened) => opened,
        Err(error) => return refuse(format!("is no envelope: {error}")),
    };
    let header = &opened.channel_header;
    if header.r#type != HeaderType::ConfigUpdate as i32 {
        return refuse(format!("has header type {}, not CONFIG_UPDATE", header.r#type));
    }
    let update =
        ConfigUpdateEnvelope::decode(opened.data).and_then(|outer| ConfigUpdate::decode(outer.config_update));
    let update = match update {
        Ok(update) => update,
        Err(error) => return refuse(format!("holds no config update: {error}")),
    };
    for (place, named) in [("header", &header.channel_id), ("update", &update.channel_id)] {
        if named != channel.as_str() {
            return refuse(format!("its {place} is for channel {named:?}, not {channel}"));
        }
    }
    Ok(envelope)
}

/// Asks for the channel first: an update of a channel that a reference node does not have takes that node out of
/// service (`docs/spec/behaviour.md` §8, upstream bug).
pub(super) async fn hand_in(
    client: &AdminClient,
    channel: &ChannelId,
    envelope: Bytes,
) -> Result<ChannelInfo, Failure> {
    client.info(channel).await?;
    Ok(client.update(envelope).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake_orderer::signer;

    fn envelope(kind: HeaderType, inner_channel: &str) -> Bytes {
        let update = ConfigUpdate {
            channel_id: inner_channel.to_owned(),
            ..ConfigUpdate::default()
        };
        let outer = ConfigUpdateEnvelope {
            config_update: update.encode_to_vec().into(),
            ..ConfigUpdateEnvelope::default()
        };
        let data = outer.encode_to_vec().into();
        signer()
            .sign(kind, data, [1; 24], std::time::SystemTime::UNIX_EPOCH)
            .bytes
    }

    #[test]
    fn only_an_update_of_the_named_channel_is_handed_in() {
        let check = |envelope: Bytes, channel: &str| {
            check(envelope, &ChannelId::parse(channel).unwrap(), Path::new("u"))
        };
        let good = envelope(HeaderType::ConfigUpdate, "test");
        assert_eq!(check(good.clone(), "test").unwrap(), good);
        check(good, "other").unwrap_err();
        check(envelope(HeaderType::ConfigUpdate, "other"), "test").unwrap_err();
        check(envelope(HeaderType::Message, "test"), "test").unwrap_err();
        check(Bytes::from_static(b"junk"), "test").unwrap_err();
    }
}
