//! One node entry: its names, in the order in which they are made of each other, and its key.

use super::{check_file_name, count, elements, names, optional, text, values};
use crate::crypto::{KeyType, NodeSpec};
use crate::yaml::{Place, YamlError};

/// Host name of a template node, unless it gives another.
const HOSTNAME: &str = "{{.Prefix}}{{.Index}}";
/// Common name of every node and authority, unless it gives another.
const COMMON_NAME: &str = "{{.Hostname}}.{{.Domain}}";
/// Accepted, without effect on nodes.
const SUBJECT_KEYS: [&str; 6] = [
    "Country",
    "Province",
    "Locality",
    "OrganizationalUnit",
    "StreetAddress",
    "PostalCode",
];

/// A node or authority as the file has it, names not yet made.
#[derive(Clone)]
pub(super) struct NodeEntry<'a> {
    place: Place<'a>,
    pub(super) hostname: String,
    common_name: Option<Place<'a>>,
    alternative_names: Vec<Place<'a>>,
    algorithm: Option<Place<'a>>,
}

impl<'a> NodeEntry<'a> {
    pub(super) fn read(place: &Place<'a>) -> Result<Self, YamlError> {
        for key in SUBJECT_KEYS {
            text(place, key)?;
        }
        Ok(Self {
            hostname: text(place, "Hostname")?,
            common_name: place.get("CommonName")?,
            alternative_names: elements(place, "SANS")?,
            algorithm: place.get("PublicKeyAlgorithm")?,
            place: place.clone(),
        })
    }

    /// Made from the host name and the domain; fit for a folder.
    pub(super) fn common_name(&self, domain: &str) -> Result<String, YamlError> {
        let given = self.common_name.as_ref().map(values::text).transpose()?;
        let template = given.filter(|text| !text.is_empty());
        let variables = [("Hostname", self.hostname.as_str()), ("Domain", domain)];
        let place = self.common_name.as_ref().unwrap_or(&self.place);
        let name = expand(place, template.as_deref().unwrap_or(COMMON_NAME), &variables)?;
        check_file_name(place, &name)?;
        Ok(name)
    }

    /// The kind of its keys; `whose` is what an error names.
    pub(super) fn key(&self, whose: &str) -> Result<KeyType, YamlError> {
        super::key(self.algorithm.as_ref(), whose)
    }

    pub(super) fn node(&self, domain: &str) -> Result<NodeSpec, YamlError> {
        let common_name = self.common_name(domain)?;
        let mut alternative_names = vec![common_name.clone(), self.hostname.clone()];
        let variables = [
            ("Hostname", self.hostname.as_str()),
            ("Domain", domain),
            ("CommonName", &common_name),
        ];
        for place in &self.alternative_names {
            alternative_names.push(expand(place, &values::text(place)?, &variables)?);
        }
        // A node without host name would get an empty DNS name, which holds for nothing.
        alternative_names.retain(|name| !name.is_empty());
        Ok(NodeSpec {
            key: self.key(&common_name)?,
            alternative_names,
            common_name,
        })
    }
}

/// The nodes of a `Template` section.
pub(super) fn series(template: &Place<'_>, prefix: &str, domain: &str) -> Result<Vec<NodeSpec>, YamlError> {
    let start = optional(template, "Start", values::integer)?.unwrap_or(0);
    let hostname = template.get("Hostname")?;
    let given = hostname.as_ref().map(values::text).transpose()?;
    let given = given.filter(|text| !text.is_empty());
    let entry = NodeEntry {
        place: template.clone(),
        hostname: String::new(),
        common_name: None,
        alternative_names: elements(template, "SANS")?,
        algorithm: template.get("PublicKeyAlgorithm")?,
    };
    let node = |number: i64| {
        let index = start.saturating_add(number).to_string();
        let variables = [("Prefix", prefix), ("Index", &index), ("Domain", domain)];
        let place = hostname.as_ref().unwrap_or(template);
        let hostname = expand(place, given.as_deref().unwrap_or(HOSTNAME), &variables)?;
        NodeEntry {
            hostname,
            ..entry.clone()
        }
        .node(domain)
    };
    (0..count(template)?).map(node).collect()
}

fn expand(place: &Place<'_>, template: &str, variables: &[(&str, &str)]) -> Result<String, YamlError> {
    names::expand(template, variables).map_err(|reason| place.wrong(reason))
}
