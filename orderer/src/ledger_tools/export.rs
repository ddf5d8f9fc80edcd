//! `orderer ledger export`: the blocks of a channel as one file that any machine can read.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use ledger::{Damage, Inspection};
use protos::{BlockNumber, ChannelId, SealedBlock, block_file};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::folder::{FolderArguments, speed};
use super::reading::Reading;
use super::{Failure, bar, say};

pub(super) const TEACHING: &str = "\
The file is a row of blocks in the form of Fabric's block files, whatever their number: its tools read it, and
`orderer ledger import` brings it into another data folder. It is readable by its owner alone, and is there as a
whole or not at all. While a node runs on the folder, the durable blocks are copied. Checksums and links are checked
on the way; import checks everything.

Examples:
  orderer ledger export mychannel -o mychannel.blocks
  orderer ledger export mychannel -o - | zstd > mychannel.blocks.zst
  orderer ledger export mychannel --from 1000 --to 1999 -o part.blocks
  orderer ledger export mychannel --location /var/ordain -o mychannel.blocks --json

Exit status: 0 the file is written; 1 for the command line, or what cannot be read or written; 2 a block is damaged.";

/// Mode of the file: blocks are for whom the channel's policies name.
const FILE_MODE: u32 = 0o600;
/// How much is written at a time.
const WRITE_BYTES: usize = 1 << 20;

/// What `orderer ledger export` can be told.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Arguments {
    /// The channel
    #[arg(value_parser = |text: &str| ChannelId::parse(text))]
    channel: ChannelId,
    /// File to write; - for standard output
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// First block
    #[arg(long, value_name = "BLOCK", default_value_t = 0)]
    from: u64,
    /// Last block [default: the newest]
    #[arg(long, value_name = "BLOCK")]
    to: Option<u64>,
    #[command(flatten)]
    folder: FolderArguments,
    /// Print what was written as one JSON object (not with -o -)
    #[arg(long)]
    json: bool,
}

/// What was written.
#[derive(Debug, Serialize)]
struct Exported {
    channel: String,
    first: u64,
    last: u64,
    blocks: u64,
    bytes: u64,
    /// Of the file.
    sha256: String,
    /// Header hash of the last block.
    newest_hash: String,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    if arguments.to.is_some_and(|to| to < arguments.from) {
        return Err(Failure::new("--to is before --from"));
    }
    let folder = arguments.folder.resolve()?;
    folder.check()?;
    let usage = folder.look()?;
    let inspection = Inspection::open(folder.chain(&arguments.channel)?).map_err(Failure::new)?;
    let bytes = inspection.bytes().map_err(Failure::new)?;
    let bar = bar::over(bytes, arguments.channel.as_str());
    let reading = Reading::new(inspection, usage.is_running());
    let began = Instant::now();
    let to_stdout = arguments.output.as_os_str() == "-";
    let exported = if to_stdout {
        if io::stdout().is_terminal() {
            return Err(
                Failure::new("blocks are not text, and standard output is a terminal")
                    .next("name a file with -o, or pipe it on"),
            );
        }
        copy(arguments, reading, io::stdout().lock(), &bar).map(|(exported, _)| exported)?
    } else {
        into_file(arguments, reading, &bar)?
    };
    bar.finish_and_clear();
    eprintln!("{}", speed(exported.bytes, exported.blocks, began.elapsed()));
    match (to_stdout, arguments.json) {
        (true, _) => {}
        (false, true) => say(serde_json::to_string(&exported).map_err(Failure::new)?),
        (false, false) => say(format!(
            "blocks {} to {} of {} are in {}; newest hash {}",
            exported.first,
            exported.last,
            exported.channel,
            arguments.output.display(),
            exported.newest_hash
        )),
    }
    Ok(())
}

/// Writes beside the file, and renames.
fn into_file(
    arguments: &Arguments,
    reading: Reading,
    bar: &indicatif::ProgressBar,
) -> Result<Exported, Failure> {
    let path = &arguments.output;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    let part = path.with_file_name(name);
    let failed = |error: io::Error| Failure::new(format!("cannot write {}: {error}", path.display()));
    let file = create(&part).map_err(failed)?;
    let done = copy(arguments, reading, file, bar).and_then(|(exported, file)| {
        let moved = file.sync_all().and_then(|()| fs::rename(&part, path));
        moved.map_err(failed)?;
        Ok(exported)
    });
    if done.is_err() {
        let _ = fs::remove_file(&part); // the first error is the one that counts
    }
    done
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(FILE_MODE)
        .open(path)
}

fn copy<W: Write>(
    arguments: &Arguments,
    mut reading: Reading,
    output: W,
    bar: &indicatif::ProgressBar,
) -> Result<(Exported, W), Failure> {
    let mut output = BufWriter::with_capacity(WRITE_BYTES, output);
    let mut hasher = Sha256::new();
    let mut previous: Option<SealedBlock> = None;
    let mut exported = Exported {
        channel: arguments.channel.to_string(),
        first: arguments.from,
        last: arguments.from,
        blocks: 0,
        bytes: 0,
        sha256: String::new(),
        newest_hash: String::new(),
    };
    let next_step = |number: u64| match number {
        0 => "orderer ledger verify names everything that is damaged".to_owned(),
        number => format!(
            "orderer ledger verify names what is damaged; --to {} copies what is before it",
            number - 1
        ),
    };
    while let Some(block) = reading.next_block().map_err(|what| {
        Failure::damaged(what).next(next_step(
            previous.as_ref().map_or(0, |block| block.number().0 + 1),
        ))
    })? {
        let number = block.number().0;
        bar.inc(block.bytes().len() as u64);
        if previous
            .as_ref()
            .is_some_and(|previous| block.previous_hash() != previous.hash())
        {
            let what = format!("block {number} does not name the hash of the block before it");
            return Err(Failure::damaged(what).next(next_step(number)));
        }
        if number >= arguments.from {
            let decoded = block.decode().map_err(Failure::damaged)?;
            let record = block_file::record(&decoded);
            hasher.update(&record);
            output.write_all(&record).map_err(|error| unwritable(&error))?;
            exported.blocks += 1;
            exported.bytes += record.len() as u64;
        }
        previous = Some(block);
        if arguments.to == Some(number) {
            break;
        }
    }
    if let Some(Damage { file, offset, .. }) = reading.unfinished() {
        let file = file.display();
        eprintln!(
            "{file} ends with a write that is not finished, from byte {offset} on: it is not in the copy"
        );
    }
    let newest =
        previous.ok_or_else(|| Failure::new(format!("channel {} has no block", arguments.channel)))?;
    check_range(arguments, newest.number())?;
    exported.last = newest.number().0;
    exported.sha256 = hex(&hasher.finalize());
    exported.newest_hash = hex(newest.hash());
    let output = output.into_inner().map_err(|error| unwritable(error.error()))?;
    Ok((exported, output))
}

fn check_range(arguments: &Arguments, newest: BlockNumber) -> Result<(), Failure> {
    let asked = arguments.to.unwrap_or(arguments.from);
    if asked > newest.0 {
        return Err(Failure::new(format!(
            "channel {} ends with block {newest}",
            arguments.channel
        )));
    }
    Ok(())
}

fn unwritable(error: &io::Error) -> Failure {
    Failure::new(format!("cannot write: {error}"))
}

/// In hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // a String takes everything
        text
    })
}
