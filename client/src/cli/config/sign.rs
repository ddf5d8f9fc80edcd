//! `ordain config sign`

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use configtx::identity::SigningIdentity;

use super::super::connect::ConnectionArgs;
use super::super::{Failure, output};
use super::file;
use super::session::Session;
use super::signers::{self, SignAs};

/// Adds signatures to an update in a file.
///
/// The update itself and the signatures that are there stay as they are, byte for byte. The file is replaced in
/// one step and keeps its mode. A node is asked only where the channel must tell whose an MSP folder is.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  ordain config sign update.pb --sign-as Org2MSP=org2/admin/msp
  ordain config sign update.pb -c connection.json --sign-as org2/admin/msp")]
pub(super) struct Args {
    /// The update, such as a task command writes with --output.
    file: PathBuf,
    /// Who signs: MSPID=DIR, a connection file, or an MSP folder. May be repeated. If not given, the identity of
    /// the connection file.
    #[arg(long, value_name = "IDENTITY")]
    sign_as: Vec<SignAs>,
    #[command(flatten)]
    connection: ConnectionArgs,
}

impl Args {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let mut update = file::update(&self.file)?;
        let identities = identities(&self.sign_as, self.connection).await?;
        signers::sign(&mut update, &identities);
        let Some(last) = identities.last() else {
            return Err(Failure::usage("nobody signs"));
        };
        let sealed = update.seal(last, rand::random(), SystemTime::now());
        file::write(&self.file, &sealed)?;
        let count = match update.signatures() {
            1 => "1 signature".to_owned(),
            count => format!("{count} signatures"),
        };
        output::line(format!("{}: {count}", self.file.display()))
    }
}

async fn identities(
    named: &[SignAs],
    connection: ConnectionArgs,
) -> Result<Vec<Arc<SigningIdentity>>, Failure> {
    if named.is_empty() {
        let file = connection.resolve()?;
        return Ok(vec![Arc::new(file.signing_identity()?)]);
    }
    let asks = |named: &SignAs| matches!(named, SignAs::Path(path) if path.is_dir());
    let bundle = if named.iter().any(asks) {
        let session = Session::open(connection).await?;
        Some(session.config().await?.bundle)
    } else {
        None
    };
    named
        .iter()
        .map(|one| one.load(bundle.as_ref()).map(Arc::new))
        .collect()
}
