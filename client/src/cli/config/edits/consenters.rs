//! Tasks about the members of a raft channel.

use std::path::{Path, PathBuf};

use clap::Args;
use protos::wire::common::Config;

use super::super::super::Failure;
use super::super::file;
use super::Edit;
use crate::config_edit::consenter::{self, TlsCertificates, TlsChange};
use crate::connection::Address;

/// TLS certificates of a consenter.
#[derive(Debug, Args)]
struct CertificateArgs {
    /// TLS certificate (PEM) that it shows as client and as server.
    #[arg(long = "tls-cert", value_name = "FILE", conflicts_with_all = ["client", "server"])]
    both: Option<PathBuf>,
    /// The one that it shows as a client.
    #[arg(long = "client-tls-cert", value_name = "FILE")]
    client: Option<PathBuf>,
    /// The one that it shows as a server.
    #[arg(long = "server-tls-cert", value_name = "FILE")]
    server: Option<PathBuf>,
}

impl CertificateArgs {
    fn read(&self) -> Result<TlsChange, Failure> {
        let read = |own: &Option<PathBuf>| {
            let path: Option<&Path> = own.as_deref().or(self.both.as_deref());
            path.map(file::read).transpose()
        };
        Ok(TlsChange {
            client: read(&self.client)?,
            server: read(&self.server)?,
        })
    }

    fn read_some(&self) -> Result<TlsChange, Failure> {
        let read = self.read()?;
        if read == TlsChange::default() {
            return Err(Failure::usage("no certificate is given").hint("name it with --tls-cert FILE"));
        }
        Ok(read)
    }

    fn read_both(&self) -> Result<TlsCertificates, Failure> {
        let missing = |what: &str| {
            Failure::usage(format!("the consenter's {what} certificate is missing"))
                .hint("one certificate for both ends is named with --tls-cert FILE")
        };
        let TlsChange { client, server } = self.read()?;
        Ok(TlsCertificates {
            client: client.ok_or_else(|| missing("client"))?,
            server: server.ok_or_else(|| missing("server"))?,
        })
    }
}

#[derive(Debug, Args)]
pub(in crate::cli::config) struct AddConsenter {
    /// Where the other consenters reach it.
    #[arg(value_name = "HOST:PORT")]
    address: Address,
    #[command(flatten)]
    certificates: CertificateArgs,
}

impl Edit for AddConsenter {
    fn apply(&self, config: Config) -> Result<Config, Failure> {
        let certificates = self.certificates.read_both()?;
        Ok(consenter::add_consenter(config, &self.address, &certificates)?)
    }
}

#[derive(Debug, Args)]
pub(in crate::cli::config) struct RemoveConsenter {
    /// Its address in the config.
    #[arg(value_name = "HOST:PORT")]
    address: Address,
}

impl Edit for RemoveConsenter {
    fn apply(&self, config: Config) -> Result<Config, Failure> {
        Ok(consenter::remove_consenter(config, &self.address)?)
    }
}

#[derive(Debug, Args)]
pub(in crate::cli::config) struct ReplaceConsenter {
    /// Its address in the config.
    #[arg(value_name = "HOST:PORT")]
    old: Address,
    /// Where the other consenters reach the new one.
    #[arg(value_name = "NEW-HOST:PORT")]
    new: Address,
    #[command(flatten)]
    certificates: CertificateArgs,
}

impl Edit for ReplaceConsenter {
    fn apply(&self, config: Config) -> Result<Config, Failure> {
        let certificates = self.certificates.read()?;
        Ok(consenter::replace_consenter(
            config,
            &self.old,
            &self.new,
            &certificates,
        )?)
    }
}

#[derive(Debug, Args)]
pub(in crate::cli::config) struct RotateConsenterCert {
    /// Its address in the config.
    #[arg(value_name = "HOST:PORT")]
    address: Address,
    #[command(flatten)]
    certificates: CertificateArgs,
}

impl Edit for RotateConsenterCert {
    fn apply(&self, config: Config) -> Result<Config, Failure> {
        let certificates = self.certificates.read_some()?;
        Ok(consenter::rotate_certificates(
            config,
            &self.address,
            &certificates,
        )?)
    }
}
