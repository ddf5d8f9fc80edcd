//! Genesis blocks and organisations out of configtx.yaml.
//!
//! ```text
//! find ──> yaml::read ──> Setting (environment) ──> sections (keys, types) ──> convert (files) ──> Profile
//! ```
//!
//! | module | holds |
//! |---|---|
//! | `find` | where the file is looked for |
//! | `setting` | a value of the file or of the environment, with its place |
//! | `scalar`, `read` | numbers, sizes, durations, bools, texts, lists; the macro for sections |
//! | `sections` | every section as a table of keys |
//! | `convert` | a section with the files it names as [`configtx::genesis`] wants it |
//!
//! The whole file is checked before anything is made of it: an unknown key or a wrong type fails whatever profile
//! is asked for. Values from the environment take the place of keys that stand in the file: `CONFIGTX_` and the
//! path of keys in upper case, joined by `_`. Profiles are copies: what stands in a section that a profile merged
//! does not change in it when the section is overridden.
//!
//! No file makes this run away: [`crate::yaml`] bounds its size and nesting with all aliases written out, and
//! sections are as deep as their tables.
//!
//! Source: `docs/spec/tools.md` §2.1 to §2.5.

mod convert;
mod error;
mod find;
mod read;
mod scalar;
mod sections;
mod setting;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use configtx::genesis::{application_org_group, orderer_org_group};
use configtx::keys;
use protos::wire::common::ConfigGroup;

pub use error::ConfigtxError;
pub use find::{Source, find};
pub use setting::Variables;

use crate::genesis::ReadProfile;
use crate::json::Organisation;
use crate::yaml;
use convert::Converter;
use read::Read as _;
use sections::Root;
use setting::{Fault, Setting};

/// A configtx.yaml whose keys and types are right.
#[derive(Debug)]
pub struct ConfigtxFile {
    file: PathBuf,
    root: Root,
}

/// An organisation as it would stand in a channel's config.
#[derive(Clone, Debug)]
pub struct DescribedOrganization {
    /// Its group.
    pub group: ConfigGroup,
    /// Which of the two kinds of organisation it is.
    pub kind: Organisation,
    /// What an operator should hear about its files, a line each.
    pub warnings: Vec<String>,
}

impl ConfigtxFile {
    /// Reads and checks all of `file`, with what `variables` says in its place.
    ///
    /// # Errors
    /// The file is missing, empty, no YAML, or has a key or a value that it should not have.
    pub fn read(file: &Path, variables: Variables<'_>) -> Result<Self, ConfigtxError> {
        Self::of_document(&yaml::read(file)?, variables)
    }

    fn of_document(document: &yaml::Document, variables: Variables<'_>) -> Result<Self, ConfigtxError> {
        let file = document.file().to_owned();
        let Some(root) = document.root() else {
            return Err(ConfigtxError::Empty { file });
        };
        let root = Setting::root(root.node(), variables);
        let root = if root.is_null() {
            Ok(Root::default())
        } else {
            Root::read(&root)
        };
        match root {
            Ok(root) => Ok(Self { file, root }),
            Err(fault) => Err(ConfigtxError::setting(&file, fault)),
        }
    }

    /// Reads every file that the profile `name` names.
    ///
    /// # Errors
    /// There is no such profile, it lacks something or contradicts itself, or a file is missing or unusable.
    pub fn profile(&self, name: &str) -> Result<ReadProfile, ConfigtxError> {
        let Some(section) = self.root.profiles.get(name) else {
            return Err(ConfigtxError::NoProfile {
                file: self.file.clone(),
                name: name.to_owned(),
                known: self.root.profiles.keys().cloned().collect(),
            });
        };
        let mut converter = Converter::new(&self.file);
        let profile = converter.profile(section).map_err(|fault| self.at(fault))?;
        Ok(ReadProfile {
            profile,
            warnings: converter.warnings,
        })
    }

    /// The group of the organisation `name` out of the list `Organizations`: as an orderer organisation if it has
    /// endpoints, else as one that uses channels.
    ///
    /// # Errors
    /// As for a profile. A section `Orderer` at the top of the file must be complete as well.
    pub fn organization(&self, name: &str) -> Result<DescribedOrganization, ConfigtxError> {
        if let Some(orderer) = &self.root.orderer {
            convert::check_orderer(orderer).map_err(|fault| self.at(fault))?;
        }
        let mut all = self.root.organizations.iter();
        let Some(section) = all.find(|section| section.name.text == name) else {
            return Err(ConfigtxError::NoOrganization {
                file: self.file.clone(),
                name: name.to_owned(),
                known: self
                    .root
                    .organizations
                    .iter()
                    .map(|org| org.name.text.clone())
                    .collect(),
            });
        };
        let kind = if section.orderer_endpoints.is_empty() {
            Organisation::Application
        } else {
            Organisation::Orderer
        };
        let mut converter = Converter::new(&self.file);
        let group = if section.skip_as_foreign {
            foreign_group()
        } else {
            let org = converter.organization(section).map_err(|fault| self.at(fault))?;
            let group = match kind {
                Organisation::Application => application_org_group(&org),
                Organisation::Orderer => orderer_org_group(&org),
            };
            group.map_err(|source| ConfigtxError::Genesis {
                file: self.file.clone(),
                source,
            })?
        };
        Ok(DescribedOrganization {
            group,
            kind,
            warnings: converter.warnings,
        })
    }

    /// The file it was read from.
    pub fn file(&self) -> &Path {
        &self.file
    }

    fn at(&self, fault: Fault) -> ConfigtxError {
        ConfigtxError::setting(&self.file, fault)
    }
}

/// An organisation that others describe.
fn foreign_group() -> ConfigGroup {
    ConfigGroup {
        mod_policy: keys::ADMINS.to_owned(),
        ..ConfigGroup::default()
    }
}
