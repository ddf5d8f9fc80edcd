use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use super::super::ports::address;
use super::*;
use crate::config::{Config, Environment};

fn make_in(folder: &Path) -> Layout {
    Layout::open_or_make(folder, Size::IfNew(1), SystemTime::now()).unwrap()
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files
}

#[test]
fn every_file_that_is_named_exists_and_keys_are_the_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let layout = make_in(folder.path());
    assert!(layout.is_new());
    let connection = ConnectionFile::read(&layout.connection_file()).unwrap();
    connection.signer().unwrap();
    assert_eq!(connection.identities.len(), 1);
    connection.identities[0].load().unwrap();
    connection.targets().unwrap();
    connection.admins().unwrap();
    let config = Config::read(&layout.nodes()[0].settings(), &Environment::new()).unwrap();
    assert!(config.general.local_msp_dir.join("keystore").is_dir());
    let tls = config.general.tls.unwrap();
    assert!(tls.private_key.is_file() && tls.certificate.is_file() && tls.root_cas[0].is_file());
    let is_key =
        |path: &PathBuf| path.extension().is_some_and(|end| end == "key") || path.ends_with("priv_sk");
    let keys: Vec<_> = files_below(folder.path()).into_iter().filter(is_key).collect();
    assert!(keys.len() > 8, "{keys:?}");
    for key in keys {
        let mode = fs::metadata(&key).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", key.display());
    }
}

#[test]
fn a_second_run_finds_what_the_first_one_made() {
    let folder = tempfile::tempdir().unwrap();
    let first = make_in(folder.path());
    let (genesis, ports) = (fs::read(first.genesis_file()).unwrap(), first.nodes()[0].ports);
    drop(first);
    let mut second = make_in(folder.path());
    assert!(!second.is_new());
    assert_eq!(fs::read(second.genesis_file()).unwrap(), genesis);
    assert_eq!(second.nodes()[0].ports, ports);
    assert_eq!(second.settle_ports().unwrap(), []);
}

#[test]
fn a_taken_port_is_replaced_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let mut layout = make_in(folder.path());
    let from = layout.nodes()[0].ports.general;
    let _taken = TcpListener::bind(("127.0.0.1", from)).unwrap();
    let moved = layout.settle_ports().unwrap();
    let to = layout.nodes()[0].ports.general;
    assert_eq!(moved, [Moved { from, to }]);
    let connection = ConnectionFile::read(&layout.connection_file()).unwrap();
    assert_eq!(connection.orderers[0].address, address(to));
    assert_eq!(
        settings::read_ports(&layout.nodes()[0].settings())
            .unwrap()
            .general,
        to
    );
}

#[test]
fn edited_settings_reach_the_connection_file() {
    let folder = tempfile::tempdir().unwrap();
    let layout = make_in(folder.path());
    let (old, new) = (layout.nodes()[0].ports, Ports::choose(1).unwrap()[0]);
    settings::change_ports(&layout.nodes()[0].settings(), old, new).unwrap();
    drop(layout);
    let mut layout = make_in(folder.path());
    assert_eq!(layout.settle_ports().unwrap(), []);
    let connection = ConnectionFile::read(&layout.connection_file()).unwrap();
    assert_eq!(connection.orderers[0].address, address(new.general));
}

#[test]
fn a_folder_of_something_else_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("letter.txt"), "dear").unwrap();
    let error = Layout::open_or_make(folder.path(), Size::IfNew(1), SystemTime::now()).unwrap_err();
    assert!(matches!(error, LayoutError::Foreign { .. }), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn two_runs_in_one_folder_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let _first = make_in(folder.path());
    let error = Layout::open_or_make(folder.path(), Size::IfNew(1), SystemTime::now()).unwrap_err();
    assert!(matches!(error, LayoutError::InUse { .. }), "{error}");
}

fn three_in(folder: &Path) -> Layout {
    Layout::open_or_make(folder, Size::Exactly(3), SystemTime::now()).unwrap()
}

#[test]
fn three_nodes_have_a_folder_and_certificates_each_and_are_the_consenters_of_the_channel() {
    let folder = tempfile::tempdir().unwrap();
    let layout = three_in(folder.path());
    let connection = ConnectionFile::read(&layout.connection_file()).unwrap();
    assert_eq!(connection.orderers.len(), 3);
    let block = fs::read(layout.genesis_file()).unwrap();
    let mut certificates = Vec::new();
    for node in layout.nodes() {
        assert_eq!(node.folder, folder.path().join(&node.name));
        let config = Config::read(&node.settings(), &Environment::new()).unwrap();
        assert!(config.warnings.is_empty(), "{:?}", config.warnings);
        assert_eq!(config.general.lack_for_cluster(), None);
        assert!(config.general.local_msp_dir.join("keystore").is_dir());
        let certificate = fs::read(config.general.cluster_server_certificate().unwrap()).unwrap();
        let holds = block.windows(certificate.len()).any(|part| part == certificate);
        assert!(holds, "{} is no consenter", node.name);
        certificates.push(certificate);
    }
    certificates.dedup();
    assert_eq!(certificates.len(), 3);
}

#[test]
fn a_network_keeps_its_size() {
    let folder = tempfile::tempdir().unwrap();
    drop(three_in(folder.path()));
    assert_eq!(make_in(folder.path()).nodes().len(), 3);
    let error = Layout::open_or_make(folder.path(), Size::Exactly(5), SystemTime::now()).unwrap_err();
    assert!(
        matches!(error, LayoutError::OtherSize { has: 3, asked: 5, .. }),
        "{error}"
    );
}

#[test]
fn a_port_that_the_channel_names_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let mut layout = three_in(folder.path());
    let ports = layout.nodes()[1].ports;
    {
        let _taken = TcpListener::bind(("127.0.0.1", ports.admin)).unwrap();
        assert_eq!(layout.settle_ports().unwrap()[0].from, ports.admin);
    }
    let _taken = TcpListener::bind(("127.0.0.1", ports.general)).unwrap();
    let error = layout.settle_ports().unwrap_err();
    assert!(
        matches!(&error, LayoutError::PortTaken { port, .. } if *port == ports.general),
        "{error}"
    );
}
