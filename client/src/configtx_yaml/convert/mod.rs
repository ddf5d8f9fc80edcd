//! Sections as [`configtx::genesis`] wants them, with the content of the files they name.
//!
//! Paths in the file are relative to its folder.

mod orderer;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bytes::Bytes;
use configtx::genesis::{self, CapabilityNames, Policies};
use configtx::policy_rule::parse_policy;
use protos::wire::protos::AnchorPeer;

pub(super) use orderer::check_orderer;

use super::read::{Names, Text};
use super::sections::{Application, Consortium, Organization, Policy, Profile};
use super::setting::Fault;
use crate::msp_folder::MspFolder;

pub(super) struct Converter<'a> {
    /// Of the file.
    folder: &'a Path,
    /// What an operator should know, and what is no reason to fail.
    pub(super) warnings: Vec<String>,
}

impl<'a> Converter<'a> {
    pub(super) fn new(file: &'a Path) -> Self {
        Self {
            folder: file.parent().unwrap_or(Path::new("")),
            warnings: Vec::new(),
        }
    }

    pub(super) fn profile(&mut self, section: &Profile) -> Result<genesis::Profile, Fault> {
        let Some(orderer) = &section.orderer else {
            return Err(section.at.wrong("a genesis block needs the section Orderer"));
        };
        Ok(genesis::Profile {
            consortium: section.consortium.text.clone(),
            capabilities: capabilities(&section.capabilities),
            policies: policies(&section.policies)?,
            orderer: self.orderer(orderer)?,
            application: section
                .application
                .as_ref()
                .map(|it| self.application(it))
                .transpose()?,
            consortiums: section
                .consortiums
                .as_ref()
                .map(|it| self.consortiums(it))
                .transpose()?,
        })
    }

    fn application(&mut self, section: &Application) -> Result<genesis::ApplicationProfile, Fault> {
        let acls = section.acls.iter();
        Ok(genesis::ApplicationProfile {
            organizations: self.members(&section.organizations)?,
            policies: policies(&section.policies)?,
            capabilities: capabilities(&section.capabilities),
            acls: acls
                .map(|(resource, policy)| (resource.clone(), policy.text.clone()))
                .collect(),
        })
    }

    fn consortiums(
        &mut self,
        section: &Names<Consortium>,
    ) -> Result<BTreeMap<String, Vec<genesis::Organization>>, Fault> {
        let each = section.iter();
        each.map(|(name, consortium)| Ok((name.clone(), self.members(&consortium.organizations)?)))
            .collect()
    }

    /// Organisations of a channel: all of them must be described here.
    fn members(&mut self, sections: &[Organization]) -> Result<Vec<genesis::Organization>, Fault> {
        let member = |section: &Organization| {
            if section.skip_as_foreign {
                let at = section.at.key("SkipAsForeign");
                let name = &section.name.text;
                return Err(at.wrong(format!(
                    "organisation {name} is described by others, and a genesis block needs all of it"
                )));
            }
            self.organization(section)
        };
        sections.iter().map(member).collect()
    }

    pub(super) fn organization(&mut self, section: &Organization) -> Result<genesis::Organization, Fault> {
        let about = format!("organisation {}", section.name.text);
        let msp = self.msp(section).map_err(|fault| fault.about(&about))?;
        let peers = section.anchor_peers.iter();
        Ok(genesis::Organization {
            name: section.name.text.clone(),
            msp,
            policies: policies(&section.policies).map_err(|fault| fault.about(&about))?,
            endpoints: texts(&section.orderer_endpoints),
            anchor_peers: peers
                .map(|peer| AnchorPeer {
                    host: peer.host.text.clone(),
                    port: peer.port,
                })
                .collect(),
        })
    }

    fn msp(&mut self, section: &Organization) -> Result<protos::wire::msp::MspConfig, Fault> {
        let kind = &section.msp_type;
        match kind.text.as_str() {
            "" | "bccsp" => {}
            "idemix" => {
                return Err(kind.at.wrong("no orderer of ours takes an idemix MSP"));
            }
            other => {
                return Err(kind.at.wrong(format!(
                    "unknown MSP type {other:?}: leave it out, or write bccsp"
                )));
            }
        }
        let folder = &section.msp_dir;
        if folder.text.is_empty() {
            return Err(section
                .at
                .wrong("MSPDir is missing: the folder with the organisation's MSP"));
        }
        let read = MspFolder::read(&self.folder.join(&folder.text), &section.id.text)
            .map_err(|error| folder.at.wrong(error.to_string()))?;
        let said = read.warnings.iter();
        self.warnings
            .extend(said.map(|warning| format!("organisation {}: {warning}", section.name.text)));
        Ok(read.to_wire())
    }

    /// The content of a file, whatever it is; `what` says what it should be.
    fn content(&self, file: &Text, what: &str) -> Result<Bytes, Fault> {
        let path = self.folder.join(&file.text);
        let content = fs::read(&path).map(Bytes::from);
        content.map_err(|error| {
            file.at
                .wrong(format!("cannot read the {what} {}: {error}", path.display()))
        })
    }
}

pub(super) fn policies(sections: &Names<Policy>) -> Result<Policies, Fault> {
    let policy = |(name, Policy { at, kind, rule }): (&String, &Policy)| {
        let at = if rule.text.is_empty() { at } else { &rule.at };
        let policy = parse_policy(&kind.text, &rule.text).map_err(|error| at.wrong(error.to_string()))?;
        Ok((name.clone(), policy))
    };
    sections.iter().map(policy).collect()
}

/// Those that are switched on. No entry at all leaves the value out.
fn capabilities(section: &Names<bool>) -> CapabilityNames {
    let on = section.iter().filter(|(_, on)| **on);
    (!section.is_empty()).then(|| on.map(|(name, _)| name.clone()).collect())
}

fn texts(list: &[Text]) -> Vec<String> {
    list.iter().map(|text| text.text.clone()).collect()
}
