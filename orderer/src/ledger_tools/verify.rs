//! `orderer ledger verify`: everything that can be proved about a data folder without any other node.

use std::cell::RefCell;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use ledger::disk::Directory;
use ledger::{DamagedPart, FolderFault, Inspected, Inspection};
use protos::{BlockNumber, ChannelId, Height, SealedBlock};

use super::export::hex;
use super::folder::{Folder, FolderArguments, names, speed};
use super::pipeline;
use super::problem::{ChannelReport, Problem, Report};
use super::reading::Reading;
use super::sequence::{Job, Sequence};
use super::witnesses::{self, Judged, Witnesses};
use super::{DAMAGED, Failure, bar, say};

pub(super) const TEACHING: &str = "\
What is checked, of each channel: checksums and numbers of all records; that each block names the hash of the one
before it; data hashes; the signatures of each block and the validity of each config under the config before it;
which config block and which raft index and members a block names; whether the folder is the channel's; the index
against the blocks; the raft log against the blocks (needs orderer.yaml, for Consensus.WALDir); joins and removals
that are pending.

Nothing is written into the data folder. While a node runs on it, the blocks that are durable are checked, and the
index and the raft log are not; while the check of a stopped node goes on, the node does not start.

Examples:
  orderer ledger verify
  orderer ledger verify mychannel --config /etc/ordain/orderer.yaml
  orderer ledger verify --location /var/ordain --json | jq '.channels[].problems[]'

Exit status: 0 everything is sound; 1 for the command line, or a folder that cannot be read; 2 damage was found,
each place of it is named with what to do.";

const NEXT_DAMAGE: &str = "the blocks before it are still served; put the blocks of a copy (ordain backup, orderer ledger \
                           import) in their place, or take the channel off this node and join it again \
                           (docs/operating/recover.md)";
const NEXT_FORGED: &str = "do not serve this chain: compare the block with another node's, then take the channel off this \
                           node and join it again (docs/operating/recover.md)";

const NEXT_FOREIGN: &str =
    "move the file away, or take such a folder over with `orderer ledger import --fabric`";

/// How the names of our files in a channel's folder begin.
const SEGMENT_PREFIX: &str = "blocks-";

/// What `orderer ledger verify` can be told.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Arguments {
    /// Channels to check [default: all of the folder]
    #[arg(value_name = "CHANNEL", value_parser = |text: &str| ChannelId::parse(text))]
    channels: Vec<ChannelId>,
    #[command(flatten)]
    folder: FolderArguments,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Checks, prints what was found, and says it in the exit code.
pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let folder = arguments.folder.resolve()?;
    let report = check(&folder, &arguments.channels, |channel| {
        if !arguments.json {
            print_channel(channel);
        }
    })?;
    if arguments.json {
        say(serde_json::to_string(&report).map_err(Failure::new)?);
    } else {
        print_rest(&report);
    }
    Ok(if report.sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(DAMAGED)
    })
}

/// Checks these channels, or all of the folder. `each` is called with what was found in each.
pub(super) fn check(
    folder: &Folder,
    channels: &[ChannelId],
    mut each: impl FnMut(&ChannelReport),
) -> Result<Report, Failure> {
    folder.check()?;
    let usage = folder.look()?;
    let mut report = Report {
        location: folder.location.clone(),
        in_use: usage.is_running(),
        ..Report::default()
    };
    let found = folder.channels()?;
    if let Some(unknown) = channels.iter().find(|channel| !found.contains(*channel)) {
        let what = format!("{} has no channel {unknown}", folder.location.display());
        return Err(Failure::new(what).next(format!("it has: {}", names(&found))));
    }
    let witnesses = Witnesses::gather(folder, &mut report)?;
    let chosen: Vec<_> = match channels {
        [] => found.into_iter().collect(),
        some => some.to_vec(),
    };
    for channel in &chosen {
        let checked = check_channel(folder, channel, &witnesses, report.in_use)?;
        each(&checked);
        report.channels.push(checked);
    }
    if channels.is_empty() {
        witnesses::markers(folder, &mut report)?;
    }
    report.sound = report.problems() == 0;
    Ok(report)
}

fn print_channel(checked: &ChannelReport) {
    let sound = if checked.problems.is_empty() {
        "sound"
    } else {
        "DAMAGED"
    };
    say(format!(
        "{:<24} {sound:<8} height {}, {} config blocks, {}",
        checked.channel,
        checked.height,
        checked.config_blocks,
        speed(
            checked.bytes,
            checked.blocks,
            Duration::from_secs_f64(checked.seconds)
        )
    ));
    checked
        .problems
        .iter()
        .for_each(|problem| say(format!("  {problem}")));
    checked
        .notes
        .iter()
        .for_each(|note| say(format!("  note: {note}")));
}

fn print_rest(report: &Report) {
    if report.in_use {
        say(format!(
            "note: a node runs on {}; its durable blocks were checked, its index and raft log were not",
            report.location.display()
        ));
    }
    report.problems.iter().for_each(say);
    report.notes.iter().for_each(|note| say(format!("note: {note}")));
    match report.problems() {
        0 => say("everything is sound"),
        1 => say("1 problem"),
        count => say(format!("{count} problems")),
    }
}

fn check_channel(
    folder: &Folder,
    channel: &ChannelId,
    witnesses: &Witnesses,
    in_use: bool,
) -> Result<ChannelReport, Failure> {
    let began = Instant::now();
    let chain = folder.chain(channel)?;
    let mut report = match Inspection::open(Arc::clone(&chain)) {
        Ok(inspection) => Check::new(channel, witnesses, inspection, in_use)?.run(&*chain)?,
        Err(FolderFault::Disk { folder, source }) => {
            return Err(Failure::new(format!(
                "cannot read {}: {source}",
                folder.display()
            )));
        }
        Err(fault) => ChannelReport {
            channel: channel.to_string(),
            problems: vec![Problem::new("folder", fault, NEXT_FOREIGN).of(channel)],
            ..ChannelReport::default()
        },
    };
    report.seconds = began.elapsed().as_secs_f64();
    Ok(report)
}

/// The check of one channel.
struct Check<'a> {
    channel: &'a ChannelId,
    witnesses: &'a Witnesses,
    in_use: bool,
    reading: Reading,
    report: ChannelReport,
    sequence: Sequence,
    /// What is wrong in the newest file, until it is known whether anybody vouches for those blocks.
    in_newest_file: Vec<DamagedPart>,
    /// The first block that is not there, where one is missing before the end.
    hole: Option<BlockNumber>,
    /// Blocks that the index has elsewhere, and the first of them.
    misplaced: (u64, Option<BlockNumber>),
    bar: ProgressBar,
}

impl<'a> Check<'a> {
    fn new(
        channel: &'a ChannelId,
        witnesses: &'a Witnesses,
        inspection: Inspection,
        in_use: bool,
    ) -> Result<Self, Failure> {
        let bytes = inspection.bytes().map_err(Failure::new)?;
        Ok(Self {
            channel,
            witnesses,
            in_use,
            reading: Reading::new(inspection, in_use),
            report: ChannelReport {
                channel: channel.to_string(),
                bytes,
                ..ChannelReport::default()
            },
            sequence: Sequence::of(Some(channel.clone())),
            in_newest_file: Vec::new(),
            hole: None,
            misplaced: (0, None),
            bar: bar::over(bytes, channel.as_str()),
        })
    }

    fn run(self, chain: &dyn Directory) -> Result<ChannelReport, Failure> {
        let this = RefCell::new(self);
        pipeline::run(
            || this.borrow_mut().next_job(),
            |job| {
                this.borrow_mut().checked(job);
                Ok(())
            },
        )?;
        let mut this = this.into_inner();
        this.bar.finish_and_clear();
        this.judge_newest_file();
        this.compare_with_index();
        this.compare_with_raft_log();
        this.note_rest(chain)?;
        this.report.config_blocks = this.sequence.configs();
        this.report.newest_block = this.sequence.newest().map(|block| block.number().0);
        this.report.newest_hash = this.sequence.newest().map(|block| hex(block.hash()));
        this.report.problems.sort_by_key(|problem| problem.block);
        Ok(this.report)
    }

    /// Reads on to the next intact block, and notes what is wrong before it.
    fn next_job(&mut self) -> Result<Option<Job>, Failure> {
        loop {
            match self.reading.next().map_err(Failure::new)? {
                None => return Ok(None),
                Some(Inspected::Block { block, place }) => {
                    self.bar.inc(place.len);
                    self.report.blocks += 1;
                    return Ok(Some(self.sequence.take(block, Some(place))));
                }
                Some(Inspected::Missing { file, from, to }) => {
                    self.hole.get_or_insert(from);
                    self.sequence.skip();
                    let what = format!("{} blocks before this file are not there", to.0 - from.0);
                    let last = BlockNumber(to.0.saturating_sub(1));
                    self.add(
                        Problem::new("missing-blocks", what, NEXT_DAMAGE)
                            .at(file, None)
                            .blocks(from, last),
                    );
                }
                Some(Inspected::Damaged(part)) => {
                    self.sequence.skip();
                    if part.is_in_newest_file {
                        self.in_newest_file.push(part);
                    } else {
                        self.damaged(&part);
                    }
                }
            }
        }
    }

    fn add(&mut self, problem: Problem) {
        self.report.problems.push(problem.of(self.channel));
    }

    fn damaged(&mut self, part: &DamagedPart) {
        let damage = &part.damage;
        self.hole.get_or_insert(damage.block);
        let last = part
            .goes_on_with
            .map_or(damage.block.0, |next| next.0.saturating_sub(1));
        let what = format!("{}: {} bytes cannot be read", damage.fault, part.bytes);
        let problem = Problem::new("record", what, NEXT_DAMAGE)
            .at(damage.file.clone(), Some(damage.offset))
            .blocks(damage.block, BlockNumber(last.max(damage.block.0)));
        self.add(problem);
    }

    /// Takes what was found out about a block.
    fn checked(&mut self, job: Job) {
        let number = job.block.number();
        let Some(place) = job.place else { return };
        for fault in job.faults {
            let problem = Problem::new(fault.kind.name(), fault.text, NEXT_FORGED)
                .at(self.reading.file(&place), Some(place.offset))
                .blocks(number, number);
            self.add(problem);
        }
        if self.witnesses.is_elsewhere(self.channel, number, &place) {
            self.misplaced.0 += 1;
            self.misplaced.1.get_or_insert(number);
        }
    }

    /// Says whether what cannot be read in the newest file is damage, or a write that was never finished.
    fn judge_newest_file(&mut self) {
        let parts = std::mem::take(&mut self.in_newest_file);
        let vouched = self.reading.vouched().max(self.witnesses.indexed(self.channel));
        if let Some(first) = parts.first().filter(|first| first.damage.block.0 >= vouched.0) {
            self.hole.get_or_insert(first.damage.block);
            if !self.in_use {
                self.report.notes.push(format!(
                    "{} ends with a write that was not finished, from byte {} on: the next start cuts it off",
                    first.damage.file.display(),
                    first.damage.offset
                ));
            }
        } else {
            for part in &parts {
                self.damaged(part);
            }
        }
        self.report.height = match (self.hole, self.sequence.newest()) {
            (Some(hole), _) => hole.0,
            (None, Some(newest)) => newest.height().0,
            (None, None) => 0,
        };
    }

    fn compare_with_index(&mut self) {
        let indexed = self.witnesses.indexed(self.channel);
        let end = self.sequence.newest().map_or(Height::EMPTY, SealedBlock::height);
        if indexed > end && self.hole.is_none() {
            let what = format!("the index knows {indexed} blocks as durable, the files end after {end}");
            let last = BlockNumber(indexed.0.saturating_sub(1));
            self.hole = Some(BlockNumber(end.0));
            self.add(Problem::new("missing-blocks", what, NEXT_DAMAGE).blocks(BlockNumber(end.0), last));
        }
        if let (count, Some(first)) = self.misplaced {
            let what = format!("the index has {count} blocks at places where they are not");
            self.add(Problem::new("index", what, witnesses::NEXT_INDEX).blocks(first, first));
        }
    }

    /// The raft log holds what the blocks say was decided. Only a whole chain can be compared.
    fn compare_with_raft_log(&mut self) {
        let (Some(newest), Some(bundle)) = (self.sequence.newest(), self.sequence.bundle()) else {
            return;
        };
        if self.in_use || self.hole.is_some() || !self.report.problems.is_empty() {
            return;
        }
        let metadata = self.sequence.raft_metadata();
        match self
            .witnesses
            .judge_raft_log(self.channel, newest, bundle, metadata)
        {
            Judged::Nothing => {}
            Judged::Note(note) => self.report.notes.push(note),
            Judged::Bad { what, next } => self.add(Problem::new("raft-log", what, next)),
        }
    }

    fn note_rest(&mut self, chain: &dyn Directory) -> Result<(), Failure> {
        if let Some((first, last)) = self.sequence.unchecked() {
            self.report.notes.push(format!(
                "signatures from block {first} to {last} were not all checked: a config block before them is missing"
            ));
        }
        if self.report.blocks == 0 && self.report.problems.is_empty() {
            self.report
                .notes
                .push("it has no block; the next start removes it".to_owned());
        }
        let entries = chain.list().map_err(Failure::new)?;
        for entry in entries
            .iter()
            .filter(|entry| !entry.name.starts_with(SEGMENT_PREFIX))
        {
            let path = chain.path().join(&entry.name);
            self.report
                .notes
                .push(format!("{} is not ours and not looked at", path.display()));
        }
        Ok(())
    }
}
