//! The commands of `docs/operating/migrate.md`, run as they stand there, on a data folder as the reference's orderer leaves
//! it.
//!
//! No reference orderer runs here: its block files are written from the blocks of a node of ours, which have the same
//! content (`docs/spec/dropin.md` §6.1 is the format), in the folder structure that it uses.

use std::fs;
use std::path::Path;

use tests::fixture::page::{self, Shell, Step};
use tests::fixture::ports;

/// What went before: identities, a channel of one member with some blocks, its folder, and the settings of the node.
const BEFORE: &str = r#"
ordain crypto --orderer-org OrdererMSP:example.com --org Org1MSP:org1.example.com
ordain genesis --channel mychannel --crypto crypto --consensus etcdraft --batch-timeout 250ms \
    --node orderer0.example.com=localhost:$PORT
mkdir -p old-settings before
home=$PWD/crypto/ordererOrganizations/example.com/orderers/orderer0.example.com
cat > old-settings/orderer.yaml <<END
General:
  ListenPort: $PORT
  LocalMSPID: OrdererMSP
  LocalMSPDir: $home/msp
  TLS:
    Enabled: true
    PrivateKey: $home/tls/server.key
    Certificate: $home/tls/server.crt
    RootCAs: [$home/tls/ca.crt]
Admin:
  ListenAddress: 127.0.0.1:$ADMIN_PORT
FileLedger:
  Location: $OLD
Consensus:
  WALDir: $OLD/etcdraft/wal
  SnapDir: $OLD/etcdraft/snapshot
END
sed "s#$OLD#$PWD/before#" old-settings/orderer.yaml > before/orderer.yaml
cat > connection.json <<END
{
  "channel": "mychannel",
  "genesis": "mychannel.block",
  "identity": {
    "msp_id": "Org1MSP",
    "msp": "crypto/peerOrganizations/org1.example.com/users/User1@org1.example.com/msp"
  },
  "tls": { "ca": "crypto/ordererOrganizations/example.com/tlsca/tlsca.example.com-cert.pem" },
  "orderers": [ { "address": "localhost:$PORT", "admin": "localhost:$ADMIN_PORT" } ]
}
END
FABRIC_CFG_PATH=$PWD/before orderer 2> before.log &
until grep -q 'Beginning to serve' before.log; do sleep 0.2; done
ordain channel join --block mychannel.block -c connection.json
printf 'one\ntwo\n' | ordain broadcast -c connection.json --acknowledge committed
kill $!
wait $! || true
mkdir -p $OLD/chains/mychannel $OLD/index $OLD/pendingops/join
FABRIC_CFG_PATH=$PWD/before orderer ledger export mychannel -o $OLD/chains/mychannel/blockfile_000000
"#;

fn step(command: &str) -> Step {
    Step {
        command: command.to_owned(),
        output: None,
    }
}

#[test]
fn the_commands_of_the_page_take_a_channel_over_and_it_goes_on() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let old = folder.path().join("production");
    let variables = [
        ("PORT", ports::free().to_string()),
        ("ADMIN_PORT", ports::free().to_string()),
        ("OLD", old.display().to_string()),
    ];
    let mut shell = Shell::start(folder.path(), &variables);
    shell.step(&step(BEFORE));
    let before = listing(&old);
    let printed: String = page::read("operating/migrate.md")
        .iter()
        .map(|step| shell.step(step))
        .collect();
    for text in ["one", "two", "after the move"] {
        assert!(printed.contains(text), "no {text:?} in:\n{printed}");
    }
    assert_eq!(listing(&old), before, "the old folder was changed");
}

/// Every file below a folder with its content.
fn listing(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let entries = fs::read_dir(folder).expect("a folder");
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(listing(&path));
        } else {
            found.push((path.display().to_string(), fs::read(&path).expect("a file")));
        }
    }
    found.sort();
    found
}
