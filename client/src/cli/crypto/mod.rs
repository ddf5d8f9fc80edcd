//! `ordain crypto`: identities, out of flags (`flags`) or of a `crypto-config.yaml`.

mod flags;

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::Subcommand;

use super::{Failure, output};
use crate::crypto::{self, CryptoError, OrgKind, OrgPaths, OrgSpec, config};
use flags::OrgFlags;

/// Folder of a tree made out of a file, unless another is given; the reference tool's.
const CONFIG_TREE: &str = "crypto-config";
/// Folder of a tree made out of flags, unless another is given.
const FLAGS_TREE: &str = "crypto";

/// Makes identities: organisations with certificate authorities, nodes and users.
///
/// Each organisation gets a folder with two authorities (signing, TLS), an administrator, and the nodes and
/// users asked for, laid out as other tools of this kind lay them out. Keys are PKCS#8, readable by their owner
/// only. Nothing that exists is ever deleted or overwritten. If something goes wrong, nothing new is left.
///
/// What to make is said by flags, or by a file as cryptogen takes it: --config.
///
/// For trying things out and for tests. Whoever runs a real organisation keeps its authorities' keys elsewhere.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_long_help = "Examples:
  One orderer organisation with three nodes, one application organisation with two users:
    ordain crypto --orderer-org OrdererMSP:example.com:nodes=3 --org Org1MSP:org1.example.com:users=2
    ordain genesis --channel mychannel --crypto crypto

  P-256 keys, and a host name that the nodes' TLS certificates shall hold for:
    ordain crypto --key p256 --san orderer.internal --orderer-org OrdererMSP:example.com

  As a file says, and later what was added to the file:
    ordain crypto template > crypto-config.yaml
    ordain crypto generate --config crypto-config.yaml --output crypto-config
    ordain crypto extend --config crypto-config.yaml --input crypto-config"
)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    generate: Generate,
}

#[derive(Debug, Subcommand)]
enum Action {
    Generate(Generate),
    Extend(Extend),
    /// Prints a crypto-config.yaml to start from: all keys, explained.
    ///
    /// Example: ordain crypto template > crypto-config.yaml
    #[command(visible_alias = "showtemplate")]
    Template,
}

/// Makes organisations. Without --config and organisations: those of the template.
///
/// A file makes ECDSA (P-256) keys unless it says otherwise; flags make Ed25519 keys unless --key says otherwise.
/// With a file the domain of each peer organisation is printed as it is made.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  ordain crypto generate --config crypto-config.yaml --output crypto-config
  ordain crypto generate                    # what ordain crypto template prints
  ordain crypto generate --orderer-org OrdererMSP:example.com --org Org1MSP:org1.example.com

Anew, keeping what was there as crypto-config/.../DOMAIN.old:
  ordain crypto generate --config crypto-config.yaml --replace")]
struct Generate {
    /// File that says what to make; ordain crypto template prints one.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["orderer_org", "org", "key", "san"])]
    config: Option<PathBuf>,
    #[command(flatten)]
    flags: OrgFlags,
    /// Folder to make them in; crypto if not given, with a file crypto-config.
    #[arg(long, visible_alias = "out", value_name = "DIR", help_heading = "Options")]
    output: Option<PathBuf>,
    /// Make organisations anew that are there: their folder is renamed to DOMAIN.old. Identities of the old ones
    /// are then strangers to the new ones.
    #[arg(long, help_heading = "Options")]
    replace: bool,
}

/// Adds what a file asks for and a tree lacks: organisations, nodes, users.
///
/// New nodes and users are certified by the authorities in the tree. Nothing that exists is changed.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Example:
  Raise a Count in crypto-config.yaml, or add an organisation; then
    ordain crypto extend --config crypto-config.yaml --input crypto-config")]
struct Extend {
    /// File that says what there should be.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The tree.
    #[arg(long, value_name = "DIR", default_value = CONFIG_TREE)]
    input: PathBuf,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self.action {
            Some(Action::Generate(generate)) => generate.run(),
            Some(Action::Extend(extend)) => extend.run(),
            Some(Action::Template) => output::text(config::TEMPLATE),
            None if self.generate.asks_for_nothing() => Err(Failure::usage("no organisation is given").hint(
                "name one with --orderer-org MSPID:DOMAIN or --org MSPID:DOMAIN, or give a --config FILE; \
                 ordain crypto template prints one",
            )),
            None => self.generate.run(),
        }
    }
}

impl Generate {
    fn asks_for_nothing(&self) -> bool {
        self.config.is_none() && self.flags.is_empty()
    }

    fn run(self) -> Result<(), Failure> {
        let make = if self.replace {
            crypto::make_anew
        } else {
            crypto::make
        };
        let make = |root: &Path, orgs: &[OrgSpec]| {
            make(root, orgs, SystemTime::now()).map_err(|error| explain(error, "or give --replace"))
        };
        if !self.flags.is_empty() {
            let root = self.output.unwrap_or_else(|| FLAGS_TREE.into());
            return self.flags.run(&root, make);
        }
        let root = self.output.unwrap_or_else(|| CONFIG_TREE.into());
        let orgs = if let Some(file) = &self.config {
            read(file)?
        } else {
            eprintln!("no --config and no organisation: making those of ordain crypto template");
            config::template()?
        };
        for (org, paths) in orgs.iter().zip(make(&root, &orgs)?) {
            report_new(org, &paths)?;
        }
        Ok(())
    }
}

impl Extend {
    fn run(self) -> Result<(), Failure> {
        let orgs = read(&self.config)?;
        let outcome = crypto::extend(&self.input, &orgs, SystemTime::now())?;
        for (org, extended) in orgs.iter().zip(outcome) {
            if extended.is_new {
                report_new(org, &extended.paths)?;
            } else if !extended.added.is_empty() {
                let root = extended.paths.root().display();
                eprintln!("{root}: added {}", extended.added.join(", "));
            }
        }
        Ok(())
    }
}

/// Reads a file. One that asks for nothing makes nothing, as with the reference tool; but that is said.
fn read(file: &Path) -> Result<Vec<OrgSpec>, Failure> {
    let orgs = config::read(file)?;
    if orgs.is_empty() {
        eprintln!(
            "{}: nothing to make: neither OrdererOrgs nor PeerOrgs lists an organisation (keys are case-sensitive)",
            file.display()
        );
    }
    Ok(orgs)
}

/// Standard output has what scripts of the reference tool find there; the rest is for people.
fn report_new(org: &OrgSpec, paths: &OrgPaths) -> Result<(), Failure> {
    eprintln!("made {} ({})", paths.root().display(), members(org));
    if org.kind == OrgKind::Peer {
        output::line(&org.domain)?;
    }
    Ok(())
}

fn members(org: &OrgSpec) -> String {
    let counted = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let (nodes, users) = (counted(org.nodes.len(), "node"), counted(org.users.len(), "user"));
    format!("{nodes}, {users}, 1 administrator")
}

fn explain(error: CryptoError, way_out: &str) -> Failure {
    match error {
        CryptoError::Exists { .. } => Failure::new(error).hint(format!(
            "ordain crypto extend --config FILE adds to it; {way_out} to make it anew beside the old one"
        )),
        other => other.into(),
    }
}
