//! A node's `orderer.yaml`. It is written once and the user's from then on: later runs read its ports, and
//! change nothing but those.

use std::fs;
use std::path::{Path, PathBuf};

use super::ports::Ports;
use crate::config::{Config, ConfigError, Environment};

/// What the settings of a node name. Paths are relative to the file.
#[derive(Clone, Debug)]
pub(super) struct NodeIdentity {
    /// MSP id of its organisation.
    pub msp_id: String,
    /// Its MSP folder.
    pub msp: PathBuf,
    /// Its TLS folder: `ca.crt`, `server.crt`, `server.key`.
    pub tls: PathBuf,
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum SettingsError {
    /// They do not parse.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A port must change, but is not written in a way that can be changed here.
    #[error("a port of {} is in use by another program, and cannot be changed in the way it is written there", file.display())]
    Ports {
        /// The file.
        file: PathBuf,
    },
    /// The file cannot be read or written.
    #[error("cannot change {}: {source}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// The text of a new `orderer.yaml`.
pub(super) fn text(identity: &NodeIdentity, ports: Ports) -> String {
    let NodeIdentity { msp_id, msp, tls } = identity;
    let (msp, tls) = (msp.display(), tls.display());
    let listen_port = listen_port(ports);
    let admin_address = loopback(ports.admin);
    let operations_address = loopback(ports.operations);
    format!(
        "\
# A node's settings, made by `orderer quickstart`. The keys are those of Hyperledger Fabric's orderer.yaml;
# whatever is not here has its default. Later runs of quickstart change the ports if they are taken, and
# nothing else.
#
# To run the node without quickstart, in this folder (paths of Admin and Operations start from the working directory):
#   FABRIC_CFG_PATH=. orderer

General:
  ListenAddress: 127.0.0.1
  {listen_port}
  LocalMSPID: {msp_id}
  LocalMSPDir: {msp}
  TLS:
    Enabled: true
    PrivateKey: {tls}/server.key
    Certificate: {tls}/server.crt
    RootCAs: [{tls}/ca.crt]

# Channels are joined and listed here. Only who shows a certificate of the orderers' organisation gets in.
Admin:
  {admin_address}
  TLS:
    Enabled: true
    PrivateKey: {tls}/server.key
    Certificate: {tls}/server.crt
    ClientAuthRequired: true
    ClientRootCAs: [{tls}/ca.crt]

# Probes ask here: /healthz, /readyz. /metrics, /logspec and /readyz?verbose want such a certificate as well.
Operations:
  {operations_address}
  TLS:
    Enabled: true
    PrivateKey: {tls}/server.key
    Certificate: {tls}/server.crt
    ClientRootCAs: [{tls}/ca.crt]

FileLedger:
  Location: data
"
    )
}

fn listen_port(ports: Ports) -> String {
    format!("ListenPort: {}", ports.general)
}

fn loopback(port: u16) -> String {
    format!("ListenAddress: 127.0.0.1:{port}")
}

/// The ports that `file` says.
pub(super) fn read_ports(file: &Path) -> Result<Ports, SettingsError> {
    Ok(ports(&Config::read(file, &Environment::new())?))
}

fn ports(config: &Config) -> Ports {
    Ports {
        general: config.general.listen.port,
        admin: config.admin.listen.port,
        operations: config.operations.listen.port,
    }
}

/// Puts the ports `new` in place of `old` in `file`.
pub(super) fn change_ports(file: &Path, old: Ports, new: Ports) -> Result<(), SettingsError> {
    let io = |source| SettingsError::Io {
        file: file.to_owned(),
        source,
    };
    let text = fs::read_to_string(file).map_err(io)?;
    let changed = text
        .replace(&listen_port(old), &listen_port(new))
        .replace(&loopback(old.admin), &loopback(new.admin))
        .replace(&loopback(old.operations), &loopback(new.operations));
    if ports(&Config::parse(file, &changed, &Environment::new())?) != new {
        return Err(SettingsError::Ports {
            file: file.to_owned(),
        });
    }
    fs::write(file, changed).map_err(io)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, ports: Ports) -> PathBuf {
        let identity = NodeIdentity {
            msp_id: "OrdererMSP".into(),
            msp: "crypto/msp".into(),
            tls: "crypto/tls".into(),
        };
        let file = folder.join("orderer.yaml");
        fs::write(&file, text(&identity, ports)).unwrap();
        file
    }

    const OLD: Ports = Ports {
        general: 7050,
        admin: 7053,
        operations: 7054,
    };

    #[test]
    fn what_is_written_is_a_valid_configuration_without_warnings() {
        let folder = tempfile::tempdir().unwrap();
        let file = write(folder.path(), OLD);
        let config = Config::read(&file, &Environment::new()).unwrap();
        assert_eq!(ports(&config), OLD);
        assert!(config.warnings.is_empty(), "{:?}", config.warnings);
        assert!(config.admin.tls.unwrap().client_auth_required);
        assert_eq!(config.ledger.location, folder.path().join("data"));
        assert_eq!(config.general.local_msp_dir, folder.path().join("crypto/msp"));
    }

    #[test]
    fn ports_are_changed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let file = write(folder.path(), OLD);
        let before = fs::read_to_string(&file).unwrap() + "# mine\n";
        fs::write(&file, &before).unwrap();
        let new = Ports {
            general: 40_001,
            ..OLD
        };
        change_ports(&file, OLD, new).unwrap();
        assert_eq!(read_ports(&file).unwrap(), new);
        assert_eq!(
            fs::read_to_string(&file).unwrap(),
            before.replace("7050", "40001")
        );
    }

    #[test]
    fn ports_in_another_notation_are_left_alone_with_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = write(folder.path(), OLD);
        let text = fs::read_to_string(&file)
            .unwrap()
            .replace("ListenPort: 7050", "ListenPort:   7050");
        fs::write(&file, &text).unwrap();
        let new = Ports {
            general: 40_001,
            ..OLD
        };
        let error = change_ports(&file, OLD, new).unwrap_err();
        assert!(matches!(error, SettingsError::Ports { .. }), "{error}");
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
    }
}
