//! Names made out of templates such as `{{.Hostname}}.{{.Domain}}`.
//!
//! The reference tool takes a whole template language here. What names need of it is a variable in double braces;
//! anything else is refused rather than guessed at.

/// Replaces each `{{.NAME}}` by what `variables` has for it; an error says what is wrong with the template.
pub(super) fn expand(template: &str, variables: &[(&str, &str)]) -> Result<String, String> {
    let (mut out, mut rest) = (String::new(), template);
    while let Some((before, after)) = rest.split_once("{{") {
        let (action, behind) = after
            .split_once("}}")
            .ok_or_else(|| format!("{template:?} opens {{{{ and does not close it"))?;
        out.push_str(before);
        out.push_str(value(action.trim(), variables)?);
        rest = behind;
    }
    out.push_str(rest);
    Ok(out)
}

fn value<'a>(action: &str, variables: &[(&str, &'a str)]) -> Result<&'a str, String> {
    let name = action.strip_prefix('.').unwrap_or_default();
    let found = variables.iter().find(|(known, _)| *known == name);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let known: Vec<_> = variables
            .iter()
            .map(|(name, _)| format!("{{{{.{name}}}}}"))
            .collect();
        format!("{{{{{action}}}}} is unknown here; known are {}", known.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const VARIABLES: &[(&str, &str)] = &[("Hostname", "h"), ("Domain", "d.test")];

    #[test]
    fn variables_are_replaced_with_and_without_blanks() {
        for (template, name) in [
            ("{{.Hostname}}.{{ .Domain }}", "h.d.test"),
            ("plain", "plain"),
            ("", ""),
            ("}} {{.Hostname}} }", "}} h }"),
        ] {
            assert_eq!(expand(template, VARIABLES).as_deref(), Ok(name), "{template}");
        }
    }

    #[test]
    fn anything_else_in_braces_is_refused_by_name() {
        assert_eq!(
            expand("x{{.Foo}}", VARIABLES).unwrap_err(),
            "{{.Foo}} is unknown here; known are {{.Hostname}}, {{.Domain}}"
        );
        for template in [
            "{{Hostname}}",
            "{{}}",
            "{{printf \"x\"}}",
            "{{.}}",
            "{{.Hostname",
            "{{ {{.Domain}}",
        ] {
            assert!(expand(template, VARIABLES).is_err(), "{template}");
        }
    }
}
