//! Values of the file as Rust types: each type knows which forms stand for it.

use std::collections::BTreeMap;

use configtx::duration::GoDuration;

use super::setting::{At, Fault, Setting};

/// What the value of a key can be. A key that is missing or null is the type's default, and never read.
pub(super) trait Read: Default {
    fn read(setting: &Setting<'_>) -> Result<Self, Fault>;
}

/// A text and where it stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Text {
    pub(super) text: String,
    pub(super) at: At,
}

/// A map whose keys are names, of any spelling.
pub(super) type Names<T> = BTreeMap<String, T>;

impl Read for Text {
    fn read(setting: &Setting<'_>) -> Result<Self, Fault> {
        let text = match (setting.scalar(), setting.entries()) {
            // Only an element of a list comes here as a null.
            (Some(_), _) if setting.is_null() => String::new(),
            (Some(scalar), _) => scalar.text(),
            (None, Some(entries)) => content_of_file(setting, entries)?,
            (None, None) => return Err(setting.expected("a text")),
        };
        Ok(Self {
            text,
            at: setting.at.clone(),
        })
    }
}

/// `{File: path}`: the path is one for this process, and not relative to the file it stands in.
fn content_of_file(setting: &Setting<'_>, entries: Vec<(&str, Setting<'_>)>) -> Result<String, Fault> {
    let named = entries
        .into_iter()
        .find(|(key, _)| matches!(*key, "File" | "file"));
    let Some((_, path)) = named else {
        return Err(setting.expected("a text, or a map with File"));
    };
    let Some(scalar) = path.scalar().filter(|_| !path.is_null()) else {
        return Err(path.expected("the path of a file"));
    };
    let file = scalar.text();
    std::fs::read_to_string(&file).map_err(|error| path.at.wrong(format!("cannot read {file}: {error}")))
}

impl Read for bool {
    fn read(setting: &Setting<'_>) -> Result<Self, Fault> {
        let value = setting.scalar().and_then(|scalar| scalar.bool());
        value.ok_or_else(|| setting.expected("true or false"))
    }
}

impl Read for GoDuration {
    fn read(setting: &Setting<'_>) -> Result<Self, Fault> {
        let value = setting.scalar().and_then(|scalar| scalar.duration());
        value.ok_or_else(|| setting.expected("a duration such as 500ms or 1m30s, or a number of nanoseconds"))
    }
}

impl Read for u32 {
    fn read(setting: &Setting<'_>) -> Result<Self, Fault> {
        let value = setting.scalar().and_then(|scalar| scalar.size());
        value.and_then(|value| Self::try_from(value).ok()).ok_or_else(|| {
            setting.expected("a number from 0 to 4294967295, also with a unit such as 512 KB or 2 MB")
        })
    }
}

impl Read for u64 {
    fn read(setting: &Setting<'_>) -> Result<Self, Fault> {
        let value = setting.scalar().and_then(|scalar| scalar.whole());
        value
            .and_then(|value| Self::try_from(value).ok())
            .ok_or_else(|| setting.expected("a number from 0 to 18446744073709551615"))
    }
}

impl Read for i32 {
    fn read(setting: &Setting<'_>) -> Result<Self, Fault> {
        let value = setting.scalar().and_then(|scalar| scalar.whole());
        value
            .and_then(|value| Self::try_from(value).ok())
            .ok_or_else(|| setting.expected("a whole number of 32 bits"))
    }
}

impl<T: Read> Read for Option<T> {
    fn read(setting: &Setting<'_>) -> Result<Self, Fault> {
        T::read(setting).map(Some)
    }
}

impl<T: Read> Read for Names<T> {
    fn read(setting: &Setting<'_>) -> Result<Self, Fault> {
        let entries = setting.entries();
        let entries = entries.ok_or_else(|| setting.expected("a map of names"))?;
        let given = entries.into_iter().filter(|(_, value)| !value.is_null());
        given
            .map(|(name, value)| Ok((name.to_owned(), T::read(&value)?)))
            .collect()
    }
}

/// A list of texts may also be a single text, or `[a, b]` as text.
impl Read for Vec<Text> {
    fn read(setting: &Setting<'_>) -> Result<Self, Fault> {
        if let Some(elements) = setting.elements() {
            return elements.iter().map(Text::read).collect();
        }
        let single = Text::read(setting)?;
        let inside = single
            .text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        let Some(inside) = inside else {
            return Ok(vec![single]);
        };
        let parts = inside.split(',').map(|part| Text {
            text: part.trim().to_owned(),
            at: single.at.clone(),
        });
        Ok(parts.collect())
    }
}

/// A type whose lists are lists of sections: an element cannot be null.
pub(super) trait Section: Read {}

impl<T: Section> Read for Vec<T> {
    fn read(setting: &Setting<'_>) -> Result<Self, Fault> {
        let elements = setting.elements();
        let elements = elements.ok_or_else(|| setting.expected("a list"))?;
        elements.iter().map(T::read).collect()
    }
}

/// Sorts the entries of `setting` by the keys it may have, which match in any letter case. Nulls are left out.
pub(super) fn known_keys<'a>(
    setting: &Setting<'a>,
    keys: &[&'static str],
) -> Result<BTreeMap<&'static str, Setting<'a>>, Fault> {
    let entries = setting.entries();
    let entries =
        entries.ok_or_else(|| setting.expected(&format!("a map with the keys {}", keys.join(", "))))?;
    let mut found: BTreeMap<_, Setting<'a>> = BTreeMap::new();
    for (written, value) in entries {
        let known = keys.iter().copied().find(|key| key.eq_ignore_ascii_case(written));
        let Some(key) = known else {
            let known = keys.join(", ");
            return Err(value.at.wrong(format!("unknown key; the keys here are {known}")));
        };
        let at = value.at.clone();
        if let Some(first) = found.insert(key, value) {
            let line = first.at.line;
            return Err(at.wrong(format!("the same key stands on line {line} in another spelling")));
        }
    }
    found.retain(|_, value| !value.is_null());
    Ok(found)
}

/// A section of the file: a table of `field: type = "Key"`.
///
/// Makes a struct with these fields, a field `at` that says where the section stands, and its [`Read`]: keys match
/// in any letter case, a missing or null key leaves the type's default, an unknown one is an error.
macro_rules! section {
    ($(#[$about:meta])* $name:ident { $($(#[$field_about:meta])* $field:ident: $kind:ty = $key:literal,)* }) => {
        $(#[$about])*
        #[derive(Clone, Debug, Default)]
        pub(super) struct $name {
            #[allow(dead_code, reason = "not every section has something to be said about as a whole")]
            pub(super) at: $crate::configtx_yaml::setting::At,
            $($(#[$field_about])* pub(super) $field: $kind,)*
        }

        impl $crate::configtx_yaml::read::Read for $name {
            fn read(
                setting: &$crate::configtx_yaml::setting::Setting<'_>,
            ) -> Result<Self, $crate::configtx_yaml::setting::Fault> {
                let found = $crate::configtx_yaml::read::known_keys(setting, &[$($key),*])?;
                let mut section = Self { at: setting.at.clone(), ..Self::default() };
                $(if let Some(value) = found.get($key) {
                    section.$field = $crate::configtx_yaml::read::Read::read(value)?;
                })*
                Ok(section)
            }
        }

        impl $crate::configtx_yaml::read::Section for $name {}
    };
}
pub(super) use section;
