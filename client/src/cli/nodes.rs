//! Arguments that say which nodes are looked at, through their operations and admin listeners.

use std::path::PathBuf;

use clap::Args;

use super::Failure;
use super::connect::TlsArgs;
use crate::connection::Address;
use crate::connection_file::{ConnectionFile, TlsFiles};
use crate::operations::OperationsClient;
use crate::participation::AdminClient;
use crate::status::NodeAccess;
use crate::tls::ClientTls;

/// Which nodes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connection")]
pub(super) struct NodesArgs {
    /// Connection file (JSON) with the addresses of all nodes.
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["admin", "operations"])]
    connection: Option<PathBuf>,
    /// Operations listener of a node; may be repeated.
    #[arg(long, value_name = "HOST:PORT")]
    operations: Vec<Address>,
    /// Admin listener of a node; may be repeated.
    #[arg(short, long, value_name = "HOST:PORT")]
    admin: Vec<Address>,
    #[command(flatten)]
    tls: TlsArgs,
}

/// The nodes, and whom to be where one is dialled otherwise.
pub(super) struct Nodes {
    /// At least one.
    pub(super) access: Vec<NodeAccess>,
    /// What was given for the admin listener; none: nothing.
    pub(super) tls: Option<ClientTls>,
}

impl NodesArgs {
    /// An operations and an admin listener in the same place of their lists are one node's.
    pub(super) fn resolve(self) -> Result<Nodes, Failure> {
        let Some(path) = self.connection else {
            let tls = self.tls.over(None)?;
            let tls = tls.as_ref().map(TlsFiles::load).transpose()?;
            let access = listed(&self.operations, &self.admin, tls.as_ref())?;
            return Ok(Nodes { access, tls });
        };
        of_file(&ConnectionFile::read(&path)?, self.tls)
    }
}

fn listed(
    operations: &[Address],
    admins: &[Address],
    tls: Option<&ClientTls>,
) -> Result<Vec<NodeAccess>, Failure> {
    let count = operations.len().max(admins.len());
    if count == 0 {
        return Err(Failure::usage("no node is given").hint(
            "name a connection file with -c, or listeners of nodes with --operations and --admin; orderer logs where \
             its operations are served",
        ));
    }
    (0..count)
        .map(|index| {
            let (operations, admin) = (operations.get(index), admins.get(index));
            let name = operations.or(admin).map(Address::to_string);
            Ok(NodeAccess {
                name: name.unwrap_or_default(),
                operations: operations
                    .map(|address| OperationsClient::new(address, tls))
                    .transpose()?,
                admin: admin.map(|address| AdminClient::new(address, tls)).transpose()?,
            })
        })
        .collect()
}

fn of_file(file: &ConnectionFile, tls: TlsArgs) -> Result<Nodes, Failure> {
    let load = |tls: TlsArgs, files: &Option<TlsFiles>| -> Result<Option<ClientTls>, Failure> {
        let tls = tls.over(files.clone())?;
        Ok(tls.as_ref().map(TlsFiles::load).transpose()?)
    };
    let operations_tls = load(tls.clone(), &file.operations_tls)?;
    let admin_tls = load(tls, &file.admin_tls)?;
    let parse = |text: &String| text.parse::<Address>().map_err(Failure::usage);
    let nodes = file.orderers.iter().map(|orderer| {
        let operations = orderer.operations.as_ref().map(parse).transpose()?;
        let admin = orderer.admin.as_ref().map(parse).transpose()?;
        Ok(NodeAccess {
            name: orderer.address.clone(),
            operations: operations
                .map(|address| OperationsClient::new(&address, operations_tls.as_ref()))
                .transpose()?,
            admin: admin
                .map(|address| AdminClient::new(&address, admin_tls.as_ref()))
                .transpose()?,
        })
    });
    let access = nodes.collect::<Result<Vec<_>, Failure>>()?;
    if access.is_empty() {
        return Err(Failure::usage("the connection file names no orderer"));
    }
    Ok(Nodes {
        access,
        tls: admin_tls,
    })
}
