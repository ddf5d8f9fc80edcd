//! Authorities that the settings name for servers, which nothing is verified with: `TLS.RootCAs` of the listeners.
//!
//! The reference reads them at the start, and ends where it cannot. Here a wrong path is told and keeps nobody from
//! starting.

use super::report::Finding;
use crate::config::Config;
use crate::tls::files::certificates;

/// A warning for each file that cannot be read, or holds no certificate.
pub fn authorities_that_cannot_be_read(config: &Config) -> Vec<Finding> {
    let sections = [
        ("General", config.general.tls.as_ref()),
        ("Admin", config.admin.tls.as_ref()),
        ("Operations", config.operations.tls.as_ref()),
    ];
    let mut findings = Vec::new();
    for (section, tls) in sections {
        let files = tls.into_iter().flat_map(|tls| &tls.root_cas);
        findings.extend(files.filter_map(|file| {
            let error = certificates(file).err()?;
            Some(Finding::warning(format!(
                "{section}.TLS.RootCAs: {error}; nothing is verified with it, but somebody meant it to be there"
            )))
        }));
    }
    findings
}
