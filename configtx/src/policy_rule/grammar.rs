//! The grammar of signature rules, read from left to right without going back.

use protos::wire::common::msp_role::MspRoleType;
use protos::wire::common::{MspPrincipal, SignaturePolicy, SignaturePolicyEnvelope, signature_policy};

use super::{Fault, GATES_NESTED_MAX};
use crate::genesis::role_principal;

/// A gate as written.
struct Gate {
    n: u32,
    arguments: Vec<Argument>,
}

enum Argument {
    Principal(MspPrincipal),
    Gate(Gate),
}

/// How many of its arguments a gate asks for.
#[derive(Clone, Copy)]
enum Wanted {
    All,
    One,
    /// As many as its first argument says.
    Number,
}

pub(super) struct Parser<'a> {
    rule: &'a str,
    rest: &'a str,
}

impl<'a> Parser<'a> {
    pub(super) fn new(rule: &'a str) -> Self {
        Self { rule, rest: rule }
    }

    /// Where reading has come to, in characters from 1.
    pub(super) fn column(&self) -> usize {
        let read = self.rule.len() - self.rest.len();
        self.rule[..read].chars().count() + 1
    }

    pub(super) fn whole_rule(&mut self) -> Result<SignaturePolicyEnvelope, Fault> {
        let gate = self.gate(1)?;
        self.skip_blanks();
        if !self.rest.is_empty() {
            return Err(self.expected("the end of the rule"));
        }
        let mut identities = Vec::new();
        let rule = gate.number(&mut identities);
        Ok(SignaturePolicyEnvelope {
            version: 0,
            rule: Some(rule),
            identities,
        })
    }

    fn gate(&mut self, depth: usize) -> Result<Gate, Fault> {
        self.skip_blanks();
        if depth > GATES_NESTED_MAX {
            return Err(Fault::TooDeep);
        }
        let wanted = self.gate_name()?;
        self.punctuation('(', "( behind the gate's name")?;
        let number = match wanted {
            Wanted::Number => self.count()?,
            Wanted::All | Wanted::One => 0,
        };
        let arguments = self.arguments(depth)?;
        let n = match wanted {
            Wanted::All => u32::try_from(arguments.len()).unwrap_or(u32::MAX),
            Wanted::One => 1,
            Wanted::Number => number,
        };
        if arguments.is_empty() {
            return Err(Fault::Empty);
        }
        // One too many is taken, as the reference does: it is how some say "nobody".
        if u64::from(n) > arguments.len() as u64 + 1 {
            return Err(Fault::TooMany {
                n,
                arguments: arguments.len(),
            });
        }
        Ok(Gate { n, arguments })
    }

    fn gate_name(&mut self) -> Result<Wanted, Fault> {
        let end = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_');
        let (name, after) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        let wanted = match name {
            "AND" | "And" => Wanted::All,
            "OR" | "Or" => Wanted::One,
            "OutOf" | "OUTOF" | "outof" => Wanted::Number,
            "" => return Err(self.expected("a gate such as OR(...)")),
            _ => {
                return Err(Fault::Gate {
                    found: name.to_owned(),
                });
            }
        };
        self.rest = after;
        Ok(wanted)
    }

    /// The first argument of `OutOf`, and the comma behind it.
    fn count(&mut self) -> Result<u32, Fault> {
        self.skip_blanks();
        let bare = || {
            let end = self.rest.find(|c: char| !c.is_ascii_digit());
            self.rest.split_at(end.unwrap_or(self.rest.len()))
        };
        let quoted = self.quoted()?;
        let (text, after) = quoted.map_or_else(bare, |(text, after)| (text.trim(), after));
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let n = text.parse().ok().filter(|_| digits);
        let n = n.ok_or_else(|| self.expected("a number"))?;
        self.rest = after;
        self.punctuation(',', ", behind the number")?;
        Ok(n)
    }

    /// Everything up to the closing bracket, and that.
    fn arguments(&mut self, depth: usize) -> Result<Vec<Argument>, Fault> {
        let mut arguments = Vec::new();
        loop {
            self.skip_blanks();
            if let Some(rest) = self.rest.strip_prefix(')') {
                self.rest = rest;
                return Ok(arguments);
            }
            arguments.push(self.argument(depth)?);
            self.skip_blanks();
            if !self.rest.starts_with(')') {
                self.punctuation(',', ", or )")?;
            }
        }
    }

    fn argument(&mut self, depth: usize) -> Result<Argument, Fault> {
        if let Some((text, after)) = self.quoted()? {
            let principal = principal(text)?;
            self.rest = after;
            return Ok(Argument::Principal(principal));
        }
        if self.rest.starts_with(char::is_alphabetic) {
            return self.gate(depth + 1).map(Argument::Gate);
        }
        Err(self.expected("a principal such as 'Org1MSP.member', or a gate"))
    }

    /// A text in quotes at this place, if there is one, and what follows it.
    fn quoted(&self) -> Result<Option<(&'a str, &'a str)>, Fault> {
        let Some(quote) = self.rest.chars().next().filter(|c| matches!(c, '\'' | '"' | '`')) else {
            return Ok(None);
        };
        let inside = &self.rest[1..];
        let ends = inside.split_once(quote);
        ends.map(Some)
            .ok_or_else(|| self.expected("a text with a quote at its end"))
    }

    fn punctuation(&mut self, wanted: char, named: &'static str) -> Result<(), Fault> {
        self.skip_blanks();
        self.rest = match self.rest.strip_prefix(wanted) {
            Some(rest) => rest,
            None => return Err(self.expected(named)),
        };
        Ok(())
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
    }

    fn expected(&self, expected: &'static str) -> Fault {
        let next = self.rest.chars().next();
        Fault::Expected {
            expected,
            found: next.map_or_else(|| "the end of the rule".to_owned(), |c| format!("{c:?}")),
        }
    }
}

/// `MSPID.ROLE`
fn principal(text: &str) -> Result<MspPrincipal, Fault> {
    let parts = text.rsplit_once('.').and_then(|(msp_id, name)| {
        let role = match name {
            "member" => MspRoleType::Member,
            "admin" => MspRoleType::Admin,
            "client" => MspRoleType::Client,
            "peer" => MspRoleType::Peer,
            "orderer" => MspRoleType::Orderer,
            _ => return None,
        };
        Some((msp_id, role))
    });
    let (msp_id, role) = parts.ok_or_else(|| Fault::Role {
        found: text.to_owned(),
    })?;
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    if msp_id.is_empty() || !msp_id.bytes().all(legal) {
        return Err(Fault::MspId {
            found: msp_id.to_owned(),
        });
    }
    Ok(role_principal(msp_id, role))
}

impl Gate {
    /// The gate as a message; its principals go to the end of `identities`, those of inner gates first.
    fn number(self, identities: &mut Vec<MspPrincipal>) -> SignaturePolicy {
        enum Numbered {
            Rule(SignaturePolicy),
            NotYet(MspPrincipal),
        }
        let inner_first = |argument| match argument {
            Argument::Gate(gate) => Numbered::Rule(gate.number(identities)),
            Argument::Principal(principal) => Numbered::NotYet(principal),
        };
        let halfway: Vec<_> = self.arguments.into_iter().map(inner_first).collect();
        let rules = halfway.into_iter().map(|argument| match argument {
            Numbered::Rule(rule) => rule,
            Numbered::NotYet(principal) => {
                let index = i32::try_from(identities.len()).unwrap_or(i32::MAX);
                identities.push(principal);
                SignaturePolicy {
                    r#type: Some(signature_policy::Type::SignedBy(index)),
                }
            }
        });
        let n_out_of = signature_policy::NOutOf {
            rules: rules.collect(),
            n: i32::try_from(self.n).unwrap_or(i32::MAX),
        };
        SignaturePolicy {
            r#type: Some(signature_policy::Type::NOutOf(n_out_of)),
        }
    }
}
