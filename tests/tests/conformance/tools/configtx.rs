//! Genesis blocks and organisations from configtx.yaml.

use std::path::Path;

use prost::Message as _;
use protos::block::block_data_hash;
use protos::envelope::Opened;
use protos::wire::common::Block;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::context::{Context, Ended, not_written};
use super::difference;

const NONCE_BYTES: usize = 24;

/// Runs one case.
pub(crate) fn run(case: &Value, context: &Context) -> Result<(), String> {
    match super::kind(case) {
        "genesis" => genesis(case, context),
        "genesis_error" => genesis_error(case, context),
        "printorg" => {
            let ended = ordain(case, context, &["--print-org", text(case, "org")?])?;
            ended.succeeded()?;
            difference::texts(&context.bytes(text(case, "output")?)?, &ended.stdout)
        }
        "printorg_error" => ordain(case, context, &["--print-org", text(case, "org")?])?.refused(case),
        unknown => Err(format!("nothing runs cases of kind {unknown}")),
    }
}

fn genesis(case: &Value, context: &Context) -> Result<(), String> {
    let file = context.scratch("genesis.block");
    let args = [
        "--profile",
        text(case, "profile")?,
        "--channel",
        text(case, "channel")?,
    ];
    ordain(case, context, &with_output(&args, &file)?)?.succeeded()?;
    let bytes = std::fs::read(&file).map_err(|error| format!("no block file: {error}"))?;
    check_volatile(&Block::decode(&bytes[..]).map_err(|error| error.to_string())?)?;

    let shown = context
        .ordain(["genesis".as_ref(), "--inspect".as_ref(), file.as_os_str()])
        .run()?;
    shown.succeeded()?;
    let json = |bytes: &[u8]| serde_json::from_slice(bytes).map_err(|error| format!("no JSON: {error}"));
    let (mut expected, mut got): (Value, Value) = (
        json(&context.bytes(text(case, "output")?)?)?,
        json(&shown.stdout)?,
    );
    for pointer in case["volatile"].as_array().into_iter().flatten() {
        let pointer = pointer
            .as_str()
            .ok_or("volatile holds something that is no text")?;
        for side in [&mut expected, &mut got] {
            *side
                .pointer_mut(pointer)
                .ok_or_else(|| format!("nothing at {pointer}"))? = Value::Null;
        }
    }
    difference::values(&expected, &got)
}

/// What differs with every run, and still follows rules.
fn check_volatile(block: &Block) -> Result<(), String> {
    let data = block.data.as_ref().ok_or("no data")?;
    let entry = data.data.first().ok_or("no entry")?;
    let header = block.header.as_ref().ok_or("no header")?;
    if header.data_hash[..] != block_data_hash(data) || header.data_hash[..] != Sha256::digest(entry)[..] {
        return Err("data_hash is not the hash of the envelope".to_owned());
    }
    let opened = Opened::open(entry.clone()).map_err(|error| error.to_string())?;
    let nonce = opened
        .signature_header()
        .map_err(|error| error.to_string())?
        .nonce;
    if nonce.len() != NONCE_BYTES {
        return Err(format!("the nonce has {} bytes", nonce.len()));
    }
    if opened.channel_header.tx_id != hex::encode(Sha256::digest(&nonce)) {
        return Err("tx_id is not the hash of the nonce".to_owned());
    }
    match &opened.channel_header.timestamp {
        Some(time) if time.seconds > 0 && time.nanos == 0 => Ok(()),
        other => Err(format!("expected whole seconds, got {other:?}")),
    }
}

fn genesis_error(case: &Value, context: &Context) -> Result<(), String> {
    let file = context.scratch("genesis.block");
    let args: Vec<&str> = match case["args"].as_array() {
        Some(args) => args.iter().map(own_flag).collect::<Result<_, _>>()?,
        None => vec![
            "--profile",
            text(case, "profile")?,
            "--channel",
            text(case, "channel")?,
        ],
    };
    ordain(case, context, &with_output(&args, &file)?)?.refused(case)?;
    not_written(&file)
}

/// A flag of the reference as `ordain` spells it; anything else as it is.
fn own_flag(arg: &Value) -> Result<&str, String> {
    Ok(
        match arg.as_str().ok_or("args holds something that is no text")? {
            "-configPath" => "--config-path",
            "-profile" => "--profile",
            "-channelID" => "--channel",
            value => value,
        },
    )
}

fn with_output<'a>(args: &[&'a str], file: &'a Path) -> Result<Vec<&'a str>, String> {
    let file = file.to_str().ok_or("the temporary folder's name is no text")?;
    Ok([args, &["--output", file]].concat())
}

/// Runs `ordain genesis` in the case's folder, with its environment, and nothing else that says where files are.
fn ordain(case: &Value, context: &Context, args: &[&str]) -> Result<Ended, String> {
    let folder = context.path(text(case, "dir")?);
    let invocation = context.ordain([&["genesis"], args].concat()).in_folder(&folder);
    let variables = case["env"].as_object().into_iter().flatten();
    let set = variables.fold(
        invocation.env("FABRIC_CFG_PATH", ""),
        |invocation, (name, value)| invocation.env(name, value.as_str().unwrap_or_default()),
    );
    set.run()
}

fn text<'a>(case: &'a Value, member: &str) -> Result<&'a str, String> {
    case[member]
        .as_str()
        .ok_or_else(|| format!("the case has no {member}"))
}
