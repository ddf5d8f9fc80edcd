//! The JSON form of messages, config updates computed from two configs, and blocks shown.

use std::path::Path;

use client::json::{self, Options};
use prost::Message;
use protos::wire::common::{Config, ConfigUpdate};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::context::{Context, not_written};
use super::difference;
use crate::vectors::{Hex, parse};

/// Where a command writes its result, in the case's own folder.
const RESULT: &str = "result";

/// Runs one case.
pub(crate) fn run(case: &Value, context: &Context) -> Result<(), String> {
    match super::kind(case) {
        "decode" => decode(&parse(case)?, context),
        "decode_error" => refused(
            case,
            context,
            &parse::<Translation>(case)?.args("decode", context)?,
        ),
        "encode" => encode(&parse(case)?, context),
        "encode_error" => refused(
            case,
            context,
            &parse::<Translation>(case)?.args("encode", context)?,
        ),
        "compute_update" => compute_update(&parse(case)?, context),
        "compute_update_error" => refused(case, context, &parse::<Update>(case)?.args(context)),
        "inspect" => inspect(&parse(case)?, context),
        "inspect_error" => refused(case, context, &parse::<Inspection>(case)?.args(context)?),
        other => Err(format!("no case of kind {other} belongs here")),
    }
}

/// A message to be decoded or encoded.
#[derive(Deserialize)]
struct Translation {
    #[serde(rename = "type")]
    type_name: String,
    #[serde(flatten)]
    input: Input,
    output: Option<String>,
    compare: Option<String>,
}

#[derive(Deserialize)]
struct Input {
    input: String,
    /// For inputs that lie outside of the folder of the tools.
    input_sha256: Option<Hex>,
}

#[derive(Deserialize)]
struct Update {
    channel: String,
    original: String,
    updated: String,
    output: Option<String>,
    output_json: Option<String>,
}

#[derive(Deserialize)]
struct Inspection {
    #[serde(flatten)]
    input: Input,
    output: Option<String>,
}

impl Input {
    /// The full path, once the file is known to be the one that the result was made of.
    fn path(&self, context: &Context) -> Result<String, String> {
        if let Some(expected) = &self.input_sha256 {
            let found = Sha256::digest(context.bytes(&self.input)?);
            if expected.0[..] != found[..] {
                return Err(format!("{}: not the file that the case was made of", self.input));
            }
        }
        Ok(text(&context.path(&self.input)))
    }
}

impl Translation {
    fn args(&self, command: &str, context: &Context) -> Result<Vec<String>, String> {
        let input = self.input.path(context)?;
        Ok([command, &self.type_name, "--input", &input]
            .map(str::to_owned)
            .into())
    }
}

impl Update {
    fn args(&self, context: &Context) -> Vec<String> {
        let (original, updated) = (context.path(&self.original), context.path(&self.updated));
        let (original, updated) = (text(&original), text(&updated));
        let args = [
            "diff",
            "--channel",
            &self.channel,
            "--original",
            &original,
            "--updated",
            &updated,
        ];
        args.map(str::to_owned).into()
    }
}

impl Inspection {
    fn args(&self, context: &Context) -> Result<Vec<String>, String> {
        Ok(vec!["block".to_owned(), self.input.path(context)?])
    }
}

fn decode(case: &Translation, context: &Context) -> Result<(), String> {
    let got = result(context, &case.args("decode", context)?)?;
    difference::texts(&wanted(context, case.output.as_deref())?, &got)?;
    stable(&case.type_name, &got)
}

/// What was shown encodes, and is shown so again. An empty message inside of bytes is the one thing that changes: it is
/// shown laid open once, and as null when its bytes are gone. So the second encoding must be the first.
fn stable(type_name: &str, shown: &[u8]) -> Result<(), String> {
    let options = Options::default();
    let encode = |text: &str| {
        json::encode(type_name, text, options).map_err(|error| format!("encoded again: {error}"))
    };
    let first = encode(&String::from_utf8_lossy(shown))?;
    let again =
        json::decode(type_name, &first, options).map_err(|error| format!("decoded again: {error}"))?;
    same_bytes(type_name, &first, &encode(&again)?)
}

fn encode(case: &Translation, context: &Context) -> Result<(), String> {
    let got = result(context, &case.args("encode", context)?)?;
    let expected = wanted(context, case.output.as_deref())?;
    match case.compare.as_deref() {
        Some("bytes") => same_bytes(&case.type_name, &expected, &got),
        Some("message") if case.type_name == "common.Config" => {
            same_message::<Config>("common.Config", &expected, &got)
        }
        other => Err(format!("nothing compares {} by {other:?}", case.type_name)),
    }
}

fn compute_update(case: &Update, context: &Context) -> Result<(), String> {
    let mut args = case.args(context);
    let got = result(context, &args)?;
    let expected = wanted(context, case.output.as_deref())?;
    same_message::<ConfigUpdate>("common.ConfigUpdate", &expected, &got)?;
    args.push("--json".to_owned());
    let expected = wanted(context, case.output_json.as_deref())?;
    difference::texts(&expected, &result(context, &args)?)
}

fn inspect(case: &Inspection, context: &Context) -> Result<(), String> {
    let ended = context.ordain(case.args(context)?).run()?;
    ended.succeeded()?;
    difference::texts(&wanted(context, case.output.as_deref())?, &ended.stdout)
}

/// What the command writes to its output file.
fn result(context: &Context, args: &[String]) -> Result<Vec<u8>, String> {
    let path = context.scratch(RESULT);
    let ended = context.ordain(args).arg("--output", &path).run()?;
    ended.succeeded()?;
    if !ended.stdout.is_empty() {
        return Err("the result went to a file, and something else to standard output".to_owned());
    }
    std::fs::read(&path).map_err(|error| format!("the output file: {error}"))
}

fn refused(case: &Value, context: &Context, args: &[String]) -> Result<(), String> {
    let path = context.scratch(RESULT);
    let ended = context.ordain(args).arg("--output", &path).run()?;
    ended.refused(case)?;
    not_written(&path)
}

fn wanted(context: &Context, output: Option<&str>) -> Result<Vec<u8>, String> {
    context.bytes(output.ok_or("the case names no result")?)
}

fn same_bytes(type_name: &str, expected: &[u8], got: &[u8]) -> Result<(), String> {
    if expected == got {
        return Ok(());
    }
    let same = expected.iter().zip(got).take_while(|(a, b)| a == b).count();
    let content = same_content(type_name, expected, got);
    Err(format!(
        "the bytes differ from byte {same} on; {}",
        content.err().unwrap_or("in JSON they are the same".to_owned())
    ))
}

/// Equality with all bytes fields as bytes and maps in any order.
fn same_message<T: Message + Default + PartialEq>(
    type_name: &str,
    expected: &[u8],
    got: &[u8],
) -> Result<(), String> {
    let read = |bytes, whose| T::decode(bytes).map_err(|error| format!("the {whose} message: {error}"));
    if read(expected, "expected")? == read(got, "computed")? {
        return Ok(());
    }
    same_content(type_name, expected, got).and(Err("some value differs in its bytes only".to_owned()))
}

fn same_content(type_name: &str, expected: &[u8], got: &[u8]) -> Result<(), String> {
    let shown = |bytes| {
        let text =
            json::decode(type_name, bytes, Options { lenient: true }).map_err(|error| error.to_string())?;
        serde_json::from_str::<Value>(&text).map_err(|error| error.to_string())
    };
    difference::values(&shown(expected)?, &shown(got)?)
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
