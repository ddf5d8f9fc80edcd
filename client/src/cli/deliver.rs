//! `ordain deliver`

mod check;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::str::FromStr;

use clap::ValueEnum;
use protos::{BlockNumber, SealedBlock};

use super::Failure;
use super::connect::ConnectionArgs;
use super::output;
use super::show::ShownBlock;
use crate::connection::Connection;
use crate::deliver::{DeliverError, DeliverStream, Position, Resume, Seek};
use crate::envelope::EnvelopeSigner;
use check::Check;

pub(super) use check::read_block;

/// Reads the blocks of a channel, and checks them.
///
/// Every block's link to the one before it, its data hash and its orderers' signatures are checked against the
/// config in force, from the genesis block on if the connection file names one. What was checked, and what had to
/// be taken on trust, is said at the end. A block that fails ends the command with exit code 1.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  ordain deliver -c ordain-quickstart/connection.json                    all blocks there are
  ordain deliver -c connection.json --from newest --follow               the newest, and whatever comes
  ordain deliver -c connection.json --from 5 --to 9 --json | jq .entries[].tx_id
  ordain deliver -c connection.json --from 5 --to 5 --save block-5.block")]
pub(super) struct Args {
    /// First block: oldest, newest, next (the one that does not exist yet), or a number.
    #[arg(long, value_name = "BLOCK", default_value = "oldest")]
    from: From,
    /// Last block: newest (as of now), or a number, which is waited for.
    #[arg(
        long,
        value_name = "BLOCK",
        default_value = "newest",
        conflicts_with = "follow"
    )]
    to: To,
    /// Goes on for ever.
    #[arg(short, long)]
    follow: bool,
    /// How to print blocks; a table on a terminal, JSON lines elsewhere.
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// The same as --format json.
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Saves each block as it came, too: to this file, or with {} in it to a file per block number.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Checks nothing.
    #[arg(long)]
    no_verify: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    Oldest,
    Newest,
    Next,
    Number(u64),
}

impl FromStr for From {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "oldest" => Ok(Self::Oldest),
            "newest" => Ok(Self::Newest),
            "next" => Ok(Self::Next),
            number => number
                .parse()
                .map(Self::Number)
                .map_err(|_| format!("{number:?} should be oldest, newest, next or a number")),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum To {
    Newest,
    Number(u64),
}

impl FromStr for To {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "newest" => Ok(Self::Newest),
            number => number
                .parse()
                .map(Self::Number)
                .map_err(|_| format!("{number:?} should be newest or a number")),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A line a block and a line an envelope.
    Table,
    /// One JSON object a line, with all data as base64.
    Json,
}

impl Args {
    pub(super) async fn run(self) -> Result<(), Failure> {
        self.check_order()?;
        let format = self.chosen_format();
        let file = self.connection.resolve()?;
        let targets = file.targets()?;
        let target = targets
            .first()
            .ok_or_else(|| Failure::usage("no orderer is given"))?;
        // Files first: what is wrong with them shows without a node.
        let signer = file.signer()?;
        let node = Node {
            connection: target.connect().await?,
            signer,
        };
        let (first, last) = node.range(self.from, self.to, self.follow).await?;
        let mut check = if self.no_verify {
            Check::none()
        } else {
            Check::prepare(&node, first, file.genesis.as_deref()).await?
        };
        let mut printer = Printer {
            format,
            save: self.save,
        };
        let seek = Seek {
            stop: last.map(Position::Number),
            ..Seek::follow(Position::Number(first))
        };
        let mut stream = DeliverStream::new(&node.connection, node.signer.clone(), seek, Resume::default());
        let mut count = 0;
        if last.is_none_or(|last| first <= last) {
            while let Some(block) = stream.next().await? {
                check.next(&block)?;
                printer.print(&block, check.is_on())?;
                count += 1;
            }
        }
        eprintln!("{}", check.summary(first, count));
        Ok(())
    }
}

impl Args {
    /// A node would answer such a seek with `NOT_FOUND`, which says too little.
    fn check_order(&self) -> Result<(), Failure> {
        match (self.from, self.to) {
            (From::Number(from), To::Number(to)) if from > to => Err(Failure::usage(format!(
                "--from {from} comes after --to {to}: there is no block to read"
            ))),
            _ => Ok(()),
        }
    }

    fn chosen_format(&self) -> Format {
        match self.format {
            Some(format) => format,
            None if self.json => Format::Json,
            None => default_format(),
        }
    }
}

fn default_format() -> Format {
    if std::io::stdout().is_terminal() {
        Format::Table
    } else {
        Format::Json
    }
}

struct Printer {
    format: Format,
    save: Option<PathBuf>,
}

impl Printer {
    fn print(&mut self, block: &SealedBlock, verified: bool) -> Result<(), Failure> {
        let shown = ShownBlock::new(block, verified);
        let text = match self.format {
            Format::Table => shown.table(),
            Format::Json => serde_json::to_string(&shown).map_err(Failure::new)?,
        };
        output::line(text)?;
        let Some(path) = &self.save else { return Ok(()) };
        let path = path.to_string_lossy().replace("{}", &block.number().to_string());
        std::fs::write(&path, block.bytes())
            .map_err(|error| Failure::new(format!("cannot write {path}: {error}")))
    }
}

/// A node that is asked for blocks.
struct Node {
    connection: Connection,
    signer: EnvelopeSigner,
}

impl Node {
    /// Turns names into numbers, so that a break in between changes nothing. No last block: for ever.
    async fn range(
        &self,
        from: From,
        to: To,
        follow: bool,
    ) -> Result<(BlockNumber, Option<BlockNumber>), DeliverError> {
        let is_relative = matches!(from, From::Newest | From::Next) || (to == To::Newest && !follow);
        let newest = if is_relative {
            self.one(Position::Newest).await?.number()
        } else {
            BlockNumber::GENESIS
        };
        let first = match from {
            From::Oldest => BlockNumber::GENESIS,
            From::Newest => newest,
            From::Next => newest.next(),
            From::Number(number) => BlockNumber(number),
        };
        let last = match to {
            _ if follow => None,
            To::Newest if from == From::Next => Some(first),
            To::Newest => Some(newest),
            To::Number(number) => Some(BlockNumber(number)),
        };
        Ok((first, last))
    }

    async fn one(&self, position: Position) -> Result<SealedBlock, DeliverError> {
        let signer = self.signer.clone();
        let mut stream = DeliverStream::new(&self.connection, signer, Seek::one(position), Resume::default());
        stream.next().await?.ok_or_else(|| DeliverError::Malformed {
            reason: "one block was asked for and none came".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_names_or_numbers() {
        assert_eq!("oldest".parse(), Ok(From::Oldest));
        assert_eq!("12".parse(), Ok(From::Number(12)));
        assert_eq!("newest".parse(), Ok(To::Newest));
        assert!("latest".parse::<From>().is_err());
        assert!("next".parse::<To>().is_err());
        assert!("-1".parse::<From>().is_err());
    }
}
