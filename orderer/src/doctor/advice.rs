//! What to do about what the check of the settings found.

use client::doctor::Finding;

use crate::config_check::report::{self, Level};

/// Words of a finding, and what to do about it. The first that fit count.
const ADVICE: &[(&str, &str)] = &[
    (
        "did you mean",
        "correct the key in that line; docs/operating/configuration.md lists them",
    ),
    (
        "no private key in",
        "put the key that belongs to the certificate into the keystore folder, or the certificate of that key into \
         signcerts",
    ),
    (
        "with key",
        "put certificate and key of one pair there; compare: openssl x509 -in CERT -noout -pubkey, openssl pkey -in KEY \
         -pubout",
    ),
    (
        "expire",
        "put a newer certificate for the SAME key there; a running node takes it at SIGHUP. With another key, tell the \
         channels first: ordain config rotate-consenter-cert",
    ),
    (
        "valid until",
        "put a newer certificate for the SAME key there; a running node takes it at SIGHUP",
    ),
    (
        "read by",
        "keys are for the node's user alone: chmod 600 FILE, and see who had them",
    ),
    (
        "MB are free",
        "free some room, or give the file system more; docs/operating/operations.md says what may be deleted",
    ),
    (
        "cannot write",
        "give the folder to the user that the node runs as: chown -R USER FOLDER",
    ),
    (
        "cannot read",
        "see that the file is there, and that this user may read it: ls -l FILE",
    ),
    ("cannot be resolved", "correct the address, or the name service"),
    (
        "cannot listen",
        "give an address of this machine (ip addr), and a port that this user may have (above 1023)",
    ),
    (
        "TLS.Enabled is false",
        "fine on one machine alone; else set TLS, see docs/operating/configuration.md",
    ),
];

/// A finding of the check, with advice. None for taken ports, which [`ports`](super::ports) knows more about.
pub(super) fn of(found: &report::Finding) -> Option<Finding> {
    let text = &found.text;
    if text.contains(" is in use") {
        return None;
    }
    let place = "settings";
    Some(match found.level {
        Level::Ok => Finding::ok(place, text),
        Level::Warning => Finding::warning(place, text, next(text)),
        Level::Problem => Finding::problem(place, text, next(text)),
    })
}

fn next(text: &str) -> &'static str {
    let advice = ADVICE.iter().find(|(words, _)| text.contains(words));
    advice.map_or(
        "correct it, then orderer config check; docs/operating/configuration.md explains the keys",
        |(_, next)| next,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_of_the_check_come_with_what_to_do() {
        let wrong = "TLS of the general listener: certificate a.crt with key a.key: the key is not that of the certificate";
        let finding = of(&report::Finding::problem(wrong)).unwrap();
        assert!(
            finding
                .next
                .unwrap()
                .starts_with("put certificate and key of one pair")
        );
        let taken = report::Finding::warning(
            "the admin listener: 127.0.0.1:9443 is in use, which is as it should be",
        );
        assert_eq!(of(&taken), None);
        assert_eq!(of(&report::Finding::ok("fine")).unwrap().next, None);
    }
}
